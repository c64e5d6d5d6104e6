"""The runs of one GPU class as a round finds them, in columns: who might be ended for whom, and where they stand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import overload

import numpy as np
from numpy.typing import NDArray

from quota.admission import Usage
from quota.fair_share import FairShares
from scheduler.cycle.entitlement import guaranteed_own, path_of, protected_runs, reaches_up_to
from scheduler.cycle.facts import LiveRun
from scheduler.cycle.snapshot import SitePool, Snapshot
from scheduler.cycle.stay import NEVER_MS
from scheduler.model.ids import GroupId, RunId
from scheduler.placement.displace import Occupant
from scheduler.placement.make_way import Runs
from scheduler.placement.pool import IntArray
from scheduler.placement.pool_runs import (
    COST,
    CPUS,
    GPUS,
    GRACE,
    GROUP,
    HELD,
    MEMORY,
    PRIORITY,
    ROWS,
    RUN,
    SAVES,
    STARTED,
    lie,
    staying,
)

BoolArray = NDArray[np.bool_]

_NOBODY = np.zeros(0, np.int64)


class InTheWay:
    """Runs that may be preempted and have had their minimum run time, the least lost work for a GPU first."""

    def __init__(
        self,
        snapshot: Snapshot,
        pools: Sequence[SitePool],
        gpu_class: str,
        usage: Usage,
        going: frozenset[RunId] = frozenset(),
    ) -> None:
        """``going`` are runs that leave for another reason: nobody ends them."""
        self._snapshot, self._usage, self._pools = snapshot, usage, pools
        self._now = [
            *((number, pool.runs) for number, pool in enumerate(pools) if pool.gpu_class == gpu_class),
            *((-1, runs) for runs in snapshot.strays.get(gpu_class, ())),
        ]
        self._columns, self._pool = self._in_turn(snapshot.now_ms, going)
        self._gpus, self._priority = self._columns[HELD], self._columns[PRIORITY]
        self._position: IntArray = snapshot.tree.positions_of(self._columns[GROUP])
        #: by position, of groups that were found above their shares: numbers of runs that lie inside their guarantees
        self._inside: dict[int, list[int]] = {}
        self._shaped = {
            usage.tree.position(group): gpus for (group, name), gpus in snapshot.cells.gpus.items() if name == gpu_class
        }
        self._home_masks: dict[int, BoolArray] = {}
        self._stays = np.ones(len(self), np.bool_)
        self._lowest = int(self._priority.min(initial=np.iinfo(np.int64).max))
        #: by (group above the preemptor, top) while nothing is charged or released: who might be ended for siblings there
        self._above: dict[tuple[int, int], IntArray] = {}

    def _in_turn(self, now_ms: int, going: frozenset[RunId]) -> tuple[IntArray, IntArray]:
        """The runs by number, laid out as in ``placement.pool_runs`` with the work that is lost now, and the pool of each."""
        latest = now_ms - self._snapshot.preemption.minimum_run_ms
        found = [
            columns.take(staying(columns, rows, at, latest, True), axis=1) for _, (columns, _, rows, at, _) in self._now
        ]
        columns = np.concatenate([np.zeros((ROWS, 0), np.int64), *found], axis=1)
        pool = np.repeat([number for number, _ in self._now], [each.shape[1] for each in found]).astype(np.int64)
        if going:
            left = ~np.isin(columns[RUN], list(going))
            columns, pool = columns[:, left], pool[left]
        held, age = columns[HELD], np.maximum(now_ms - columns[STARTED], 0)
        columns[COST] = held * np.where(columns[SAVES] != 0, columns[GRACE], age)
        order = np.lexsort((columns[RUN], columns[COST] / held))
        return columns.take(order, axis=1), pool[order]

    @cached_property
    def _number_of(self) -> dict[RunId, int]:
        return {RunId(run): number for number, run in enumerate(self._columns[RUN].tolist())}

    @cached_property
    def _homes(self) -> dict[RunId, frozenset[GroupId]]:
        """Whose cells runs lie in, of those that lie wholly inside cells of groups that they belong to."""
        if not self._snapshot.cells.holders:
            return {}
        there = (run for position in self._staying for run in self._staying[position])
        return {run.id: home for run in there if (home := self._snapshot.home(run))}

    @cached_property
    def _staying(self) -> Mapping[int, list[LiveRun]]:
        """By position of their groups all runs that are not leaving, whether they may be ended or not."""
        found: defaultdict[int, list[LiveRun]] = defaultdict(list)
        for _, (columns, _, rows, at, _) in self._now:
            for run in columns[RUN, staying(columns, rows, at, NEVER_MS, False)].tolist():
                each = self._snapshot.runs[RunId(run)]
                found[self._usage.tree.position(each.group)].append(each)
        return found

    def __len__(self) -> int:
        return len(self._pool)

    def run(self, number: int) -> LiveRun:
        """The run with an occupant's number."""
        return self._snapshot.runs[RunId(number)]

    def stop(self, run: LiveRun) -> None:
        """A run has been told to go."""
        self._stays[self._number_of[run.id]] = False

    def forget_shares(self) -> None:
        """Something has been charged or released: who is above a share has to be asked anew."""
        self._above = {}

    def might_go(self, shares: FairShares, kept: FairShares, position: int, gpus: int, priority: int) -> IntArray:
        """Numbers of the runs that might be ended for ``gpus`` more at a group, as shares stand now; victims keep ``kept``."""
        others, top = _NOBODY, reaches_up_to(self._usage, shares, position, gpus)
        if top is not None:
            others = self._above_their_shares(kept, position, top)
            if self._homes:
                others = others[~self._at_home(position)[others]]
        if priority <= self._lowest:
            return others
        own = np.flatnonzero(self._stays & (self._position == position) & (self._priority < priority))
        return np.union1d(others, own) if len(own) else others

    def _above_their_shares(self, kept: FairShares, position: int, top: int) -> IntArray:
        tree = self._usage.tree
        key = int(tree.parent[position]), top
        if key not in self._above or tree.inner[position]:
            above = above_their_shares(self._usage, kept, position, top)
            mask = self._stays & above[self._position]
            for owner in set(self._position[mask].tolist()):
                mask[self._protected(owner)] = False
            found: IntArray = np.flatnonzero(mask)
            if tree.inner[position]:
                return found
            self._above[key] = found
        return self._above[key]

    def _protected(self, owner: int) -> list[int]:
        """Numbers of a group's runs that lie inside its guarantee, what is in cells apart."""
        if owner not in self._inside:
            group = GroupId(int(self._usage.tree.group_ids[owner]))
            guaranteed = int(guaranteed_own(self._usage)[owner]) - self._shaped.get(owner, 0)
            mine = self._staying[owner] if guaranteed > 0 else ()
            inside = protected_runs([run for run in mine if group not in self._homes.get(run.id, ())], guaranteed)
            self._inside[owner] = [self._number_of[run] for run in inside if run in self._number_of]
        return self._inside[owner]

    def _at_home(self, preemptor: int) -> BoolArray:
        """Which runs lie wholly inside cells that this group has no part in."""
        if preemptor not in self._home_masks:
            tree = self._usage.tree
            path = {int(tree.group_ids[each]) for each in path_of(tree, preemptor)} if self._homes else set()
            mask = np.zeros(len(self), np.bool_)
            for run, home in self._homes.items():
                if run in self._number_of:
                    mask[self._number_of[run]] = not home <= path
            self._home_masks[preemptor] = mask
        return self._home_masks[preemptor]

    def on(self, pool: int, nodes: BoolArray) -> list[Occupant]:
        """Runs that stay and have a part on some of a pool's ``nodes``, the least lost work for a GPU first."""
        here = np.flatnonzero(self._stays & (self._pool == pool)).tolist()
        found = (self.occupant(number, pool) for number in here)
        return [each for each in found if any(nodes[node] for node, _ in each.parts)]

    def gpus_by_pool(self, numbers: IntArray, pools: int) -> IntArray:
        """GPUs that these runs hold in every pool."""
        here = numbers[self._pool[numbers] >= 0]
        held: IntArray = np.bincount(self._pool[here], weights=self._gpus[here], minlength=pools).astype(np.int64)
        return held

    def ordered(self, numbers: IntArray, pool: int, *, with_others: bool) -> IntArray:
        """Of these runs, those in one pool; ``with_others``: behind them those in others, which hold nothing here, but their
        groups' quotas do."""
        here = self._pool[numbers] == pool
        return np.concatenate((numbers[here], numbers[~here])) if with_others else numbers[here]

    def occupants(self, numbers: IntArray, pool: int) -> Sequence[Occupant]:
        """These runs as they lie in a pool."""
        return _Occupants(numbers.tolist(), lambda number: self.occupant(number, pool))

    def occupant(self, number: int, pool: int) -> Occupant:
        """One run as it lies in a pool."""
        column = self._columns[:, number].tolist()
        parts: list[tuple[int, int]] = []
        if self._pool[number] == pool:
            run, index = self._snapshot.runs[RunId(column[RUN])], self._pools[pool].index
            parts = [(index[node], many) for node, many in run.gang if node in index]
        return Occupant(column[RUN], column[COST], (column[GPUS], column[CPUS], column[MEMORY]), tuple(parts))

    @cached_property
    def columns(self) -> Runs:
        """The runs, by number, as the compiled loop takes them."""
        lying = [np.zeros((4, 0), np.int64)]
        for pool, (_, parts, *_) in self._now:
            if pool >= 0:
                numbers = np.flatnonzero(self._pool == pool)
                node, workers, at = lie(self._columns, parts, numbers, *self._pools[pool].places)
                lying.append(np.stack((numbers[at], np.full(len(at), pool), node, workers)))
        number, pool_of, node, workers = np.concatenate(lying, axis=1)
        order = np.argsort(number, kind="stable")
        dearness = np.empty(len(self), np.int64)
        dearness[np.lexsort((-self._columns[RUN], -self._columns[COST]))] = np.arange(len(self))
        return Runs(
            first=np.searchsorted(number[order], np.arange(len(self) + 1)),
            pool=pool_of[order],
            node=node[order],
            workers=workers[order],
            gpus=self._columns[GPUS],
            cpus=self._columns[CPUS],
            memory=self._columns[MEMORY],
            held=self._gpus,
            position=self._position,
            dearness=dearness,
        )


class _Occupants(Sequence[Occupant]):
    """Made when they are looked at: of thousands in the way only the first few have to go."""

    def __init__(self, numbers: Sequence[int], make: Callable[[int], Occupant]) -> None:
        self._numbers, self._make = numbers, make

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> Occupant: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Occupant]: ...
    def __getitem__(self, index: int | slice) -> Occupant | Sequence[Occupant]:
        if isinstance(index, slice):
            return _Occupants(self._numbers[index], self._make)
        return self._make(self._numbers[index])

    def __iter__(self) -> Iterator[Occupant]:
        return map(self._make, self._numbers)


def above_their_shares(usage: Usage, shares: FairShares, preemptor: int, top: int) -> BoolArray:
    """By position: groups inside ``top`` with ``entitlement.is_above_share``."""
    tree, onto = usage.tree, path_of(usage.tree, preemptor)
    over = usage.used > shares.share
    reached = np.zeros(len(tree), np.bool_)
    reached[top] = True
    on_path = np.zeros(len(tree), np.bool_)
    on_path[list(onto)] = True
    for _, below, _ in tree.descents():
        reached[below] |= reached[tree.parent[below]] & (on_path[below] | over[below])
    found: BoolArray = reached & (usage.own > shares.own)
    found[preemptor] = False
    return found
