"""What will be free once everything that leaves is gone, while steps after placement hold nodes for some."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from scheduler.cycle.facts import LiveRun
from scheduler.cycle.plan import GangPart
from scheduler.cycle.round import Round
from scheduler.model.shape import Topology
from scheduler.placement.board import Board
from scheduler.placement.pool import BoolArray, IntArray, Pool
from scheduler.placement.request import Placement, Request


class Soon:
    """Free GPUs, CPUs and memory (amount, node) by pool, what the round has started and earmarked taken off."""

    def __init__(self, round_: Round) -> None:
        self._round = round_
        self._free: dict[int, IntArray] = {}

    def of(self, pool: int) -> IntArray:
        """A pool's; the very array, which changes."""
        if pool not in self._free:
            site_pool, nodes = self._round.site_pools[pool], self._round.board.nodes
            here = slice(int(nodes.first[pool]), int(nodes.first[pool + 1]))
            before = np.stack((site_pool.pool.gpus, site_pool.pool.cpus, site_pool.pool.memory_mib))
            after = np.stack((nodes.gpus[here], nodes.cpus[here], nodes.memory[here]))
            self._free[pool] = site_pool.soon - (before - after)
        return self._free[pool]

    def free_gpus(self, pool: int) -> int:
        """GPUs of a pool that will be free, without looking at more than them."""
        if pool in self._free:
            gpus = self._free[pool][0]
        else:
            site_pool, nodes = self._round.site_pools[pool], self._round.board.nodes
            here = slice(int(nodes.first[pool]), int(nodes.first[pool + 1]))
            gpus = site_pool.soon[0] - (site_pool.pool.gpus - nodes.gpus[here])
        return int(np.maximum(gpus, 0).sum())

    def give_back(self, run: LiveRun) -> None:
        """Count as free what a run holds, in whatever pool that is."""
        amounts = np.array([run.gpus_per_worker, run.cpus_per_worker, run.memory_mib_per_worker])
        for pool, site_pool in enumerate(self._round.site_pools):
            if (site_pool.site, site_pool.gpu_class) == (run.site, run.gpu_class):
                index, free = site_pool.index, self.of(pool)
                for node, workers in run.gang:
                    if node in index:
                        free[:, index[node]] += workers * amounts

    def find(self, pool: int, request: Request, usable: BoolArray | None) -> Placement | None:
        """Where a gang would go on a pool's ``usable`` nodes (None: all), as tight as it likes; None where there is no room."""
        free = self.of(pool)
        board = Board([Pool(self._round.site_pools[pool].pool.layout, *(free if usable is None else free * usable))])
        placements = (board.place(0, request, level) for level in request.levels())
        return next((each for each in placements if each is not None), None)

    def take(self, pool: int, request: Request, placement: Placement) -> tuple[GangPart, ...]:
        """Hold the nodes of a gang."""
        site_pool, free = self._round.site_pools[pool], self.of(pool)
        parts: list[GangPart] = []
        rank = 0
        for node, workers in placement:
            parts.append((site_pool.node_ids[node], site_pool.pool.layout.names[node], rank, workers))
            free[:, node] -= workers * np.array([request.gpus, request.cpus, request.memory_mib])
            rank += workers
        return tuple(parts)

    def trial(self, pool: int) -> Soon:
        """What may be tried on one pool: its copy."""
        twin = Soon(self._round)
        twin._free[pool] = self.of(pool).copy()
        return twin

    def adopt(self, trial: Soon) -> None:
        """Take over what was tried."""
        self._free |= trial._free


def domains(
    round_: Round, pool: int, request: Request, usable: BoolArray | None, among: Iterable[int] | None = None
) -> Iterator[BoolArray | None]:
    """The nodes that a gang may have together: those that it may use in each domain of its loosest level, or of ``among``."""
    numbers = round_.site_pools[pool].pool.layout.domains_of(request.loosest)
    for number in range(int(numbers.max(initial=-1)) + 1) if among is None else among:
        if request.loosest is Topology.SITE:
            yield usable
        else:
            yield numbers == number if usable is None else (numbers == number) & usable
