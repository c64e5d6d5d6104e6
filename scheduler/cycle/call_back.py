"""Step 6 for heads whose group has cells: what others run in its cells is called back, whatever these are guaranteed.

Work in another group's cell is lent there: it counts as guaranteed inside its own group's cells alone, so that neither shares
nor guarantees in numbers protect it. A gang that fits into the cells of its group, on their nodes alone and beside the
group's own work, gets them: of what others run there so much is ended as it needs, little lost work first, none that
could be kept. Minimum run times are kept, and no run is ended that would not make room. Quotas have to admit the
gang once those runs are gone.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scheduler.cycle.entitlement import Claim
from scheduler.cycle.heads import Head
from scheduler.cycle.in_the_way import InTheWay
from scheduler.cycle.round import Round
from scheduler.cycle.soon import Soon, domains
from scheduler.model.ids import GroupId
from scheduler.placement.displace import Displaced, Occupant, Room
from scheduler.placement.pool import BoolArray, IntArray


class CallingBack:
    """Cells of one GPU class."""

    def __init__(self, round_: Round, soon: Soon, gpu_class: str) -> None:
        self._round, self._soon, self._gpu_class = round_, soon, gpu_class
        self._usage = round_.usages[gpu_class]
        holders = round_.snapshot.cells.holders
        self._holders: dict[int, IntArray] = {
            number: np.array([holders.get(node, 0) for node in pool.node_ids], np.int64)
            for number, pool in enumerate(round_.site_pools)
            if holders and pool.gpu_class == gpu_class
        }
        self._nodes: dict[tuple[GroupId, int], BoolArray] = {}
        self._has_some: dict[tuple[GroupId, int], bool] = {}

    def might_serve(self, rows: IntArray) -> BoolArray:
        """Rows of heads that have cells to go to, whoever is in them."""
        classes = self._round.classes
        found = np.zeros(len(rows), np.bool_)
        if self._holders:
            groups, venues = self._round.snapshot.table.group[rows].tolist(), classes.venue[rows].tolist()
            found[:] = [self._has(GroupId(group), venue) for group, venue in zip(groups, venues, strict=True)]
        return found

    def _has(self, group: GroupId, venue: int) -> bool:
        if (group, venue) not in self._has_some:
            self._has_some[group, venue] = any(self.nodes(group, pool).any() for pool in self._pools_of(venue))
        return self._has_some[group, venue]

    def nodes(self, group: GroupId, pool: int) -> BoolArray:
        """Which nodes of a pool lie in cells of a group, or of one that it belongs to."""
        if (group, pool) not in self._nodes:
            self._nodes[group, pool] = np.isin(self._holders[pool], list(self._round.snapshot.path(group)))
        return self._nodes[group, pool]

    def find(self, head: Head, way: InTheWay) -> tuple[Displaced, int, BoolArray] | None:
        """Whom to end for a head, in which pool, and the nodes of its cells there; None where that is not to be had."""
        choices = [
            (found, pool, nodes) for pool, nodes in self._places(head) for found in self._ends(head, way, pool, nodes)
        ]
        return min(choices, key=lambda each: (*each[0].rank, each[1])) if choices else None

    def _places(self, head: Head) -> Iterator[tuple[int, BoolArray]]:
        if not self._holders:
            return
        for pool in self._pools_of(int(self._round.classes.venue[head.row])):
            nodes, usable = self.nodes(head.group, pool), self._round.usable(pool, head.key, head.priority)
            mine = nodes if usable is None else nodes & usable
            if mine.any():
                yield pool, mine

    def _pools_of(self, venue: int) -> list[int]:
        first, pools = self._round.venue_pools[self._gpu_class]
        found: list[int] = pools[first[venue] : first[venue + 1]].tolist()
        return found

    def _ends(self, head: Head, way: InTheWay, pool: int, nodes: BoolArray) -> Iterator[Displaced]:
        """One choice for each domain that the gang may lie in. One without runs to end is none: what leaves is enough."""
        shares = self._round.shares(self._gpu_class)
        others = [each for each in way.on(pool, nodes) if not self._is_own(head.group, each, pool, way)]
        for within in domains(self._round, pool, head.request, nodes):
            claim = _AnyRun(self._usage, shares, head.group, head.request.gpus_in_all, firm=head.firm, run_of=way.run)
            room = Room(self._soon.of(pool), head.request, claim, within)
            ended: list[Occupant] = []
            for each in others:
                if room.fits:
                    break
                room.end(each)
                ended.append(each)
            if ended and room.fits:
                yield Displaced.of(room.spare(ended))

    def _is_own(self, group: GroupId, occupant: Occupant, pool: int, way: InTheWay) -> bool:
        """Whether a run belongs to all groups whose cells it lies in here: it has as good a right to them."""
        path = self._round.snapshot.path(way.run(occupant.run).group)
        mine = self.nodes(group, pool)
        return all(int(self._holders[pool][node]) in path for node, _ in occupant.parts if mine[node])


class _AnyRun(Claim):
    """Everything in a cell may be called back: only quotas are counted."""

    def may_end(self, _: Occupant, /) -> bool:
        """Always."""
        return True
