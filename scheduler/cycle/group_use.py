"""What groups use of each GPU class, kept in arrays by position of the quota tree, so that a round reads it as it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from quota.tree import IntArray, QuotaTree
from scheduler.cycle.facts import LiveRun
from scheduler.model.ids import GroupId


@dataclass(frozen=True, slots=True, eq=False)
class GroupUse:
    """GPUs of one class, (group,) by position. Nothing in it is ever changed.

    ``own`` are those of a group's own runs that are not leaving, and of its earmarks. ``leaving`` are those of its own runs that
    are leaving, but for those that go on where nodes are held for them. ``displaceable`` (3, kind) lists position, priority
    and GPUs of runs that may be preempted and are not leaving; a kind may have none. ``ending`` is how many runs there are that
    leave at a known time.
    """

    own: IntArray
    leaving: IntArray
    displaceable: IntArray
    ending: int = 0

    @staticmethod
    def nothing(groups: int) -> GroupUse:
        """Nobody uses anything."""
        return GroupUse(np.zeros(groups, np.int64), np.zeros(groups, np.int64), np.zeros((3, 0), np.int64))

    @property
    def counted(self) -> IntArray:
        """What shares and quotas count before any stop: what is leaving is used until it is gone, and asks again then."""
        return self.own + self.leaving


class GroupUses:
    """Keeps count as runs and earmarks come and go. Not thread-safe. After a change of the tree: ``forget``."""

    def __init__(self) -> None:
        self._own: defaultdict[str, defaultdict[GroupId, int]] = defaultdict(lambda: defaultdict(int))
        self._leaving: defaultdict[str, defaultdict[GroupId, int]] = defaultdict(lambda: defaultdict(int))
        self._displaceable: defaultdict[str, defaultdict[tuple[GroupId, int], int]] = defaultdict(
            lambda: defaultdict(int)
        )
        self._ending: defaultdict[str, int] = defaultdict(int)
        self._columns: dict[str, _Columns] = {}

    def copy(self) -> GroupUses:
        """The same count, which from now on goes on by itself."""
        twin = GroupUses()
        for mine, its in ((self._own, twin._own), (self._leaving, twin._leaving)):
            for gpu_class, use in mine.items():
                its[gpu_class].update(use)
        for gpu_class, use_by_priority in self._displaceable.items():
            twin._displaceable[gpu_class].update(use_by_priority)
        twin._ending.update(self._ending)
        return twin

    def forget(self) -> None:
        """Groups stand elsewhere in the tree now."""
        self._columns = {}

    def hold(self, run: LiveRun, sign: int) -> None:
        """A run has come (1) or gone (-1)."""
        gpus, columns = sign * run.gpus, self._columns.get(run.gpu_class)
        self._ending[run.gpu_class] += sign * (run.leaving or run.expected_end_ms is not None)
        use = self._leaving if run.leaving else self._own
        use[run.gpu_class][run.group] += gpus
        if columns is not None:
            columns.add(run.group, gpus, leaving=run.leaving)
        if run.preemptible and not run.leaving:
            self._displaceable[run.gpu_class][run.group, run.priority] += gpus
            if columns is not None:
                columns.add_displaceable(run.group, run.priority, gpus)

    def hold_earmark(self, group: GroupId, gpu_class: str, gpus: int) -> None:
        """A group holds so much more by earmarks, or less."""
        self._own[gpu_class][group] += gpus
        columns = self._columns.get(gpu_class)
        if columns is not None:
            columns.add(group, gpus)

    def show(self, tree: QuotaTree, going_on: Iterable[tuple[GroupId, str, int]] = ()) -> dict[str, GroupUse]:
        """This moment, by GPU class. ``going_on``: what runs that are leaving hold already where they go on (group, class, GPUs).

        Raises UnknownGroupError where a group that holds something is not in the tree.
        """
        shown = {}
        for gpu_class in self._own.keys() | self._leaving.keys():
            columns = self._columns.get(gpu_class)
            if columns is None or columns.is_lost:
                columns = self._columns[gpu_class] = self._count(tree, gpu_class)
            shown[gpu_class] = columns.show(self._ending[gpu_class])
        for group, gpu_class, gpus in going_on:
            leaving = shown[gpu_class].leaving.copy()
            leaving[tree.positions[group]] -= gpus
            shown[gpu_class] = replace(shown[gpu_class], leaving=leaving)
        return shown

    def _count(self, tree: QuotaTree, gpu_class: str) -> _Columns:
        by_position = tree.of_class(gpu_class)
        own, leaving = (
            by_position.array({group: gpus for group, gpus in use.get(gpu_class, {}).items() if gpus})
            for use in (self._own, self._leaving)
        )
        columns = _Columns(tree, own, leaving)
        for (group, priority), gpus in self._displaceable.get(gpu_class, {}).items():
            if gpus:
                columns.add_displaceable(group, priority, gpus)
        return columns


class _Columns:
    """One class's count by position. ``is_lost``: something came of a group that the tree does not know."""

    def __init__(self, tree: QuotaTree, own: IntArray, leaving: IntArray) -> None:
        self._positions, self._own, self._leaving = tree.positions, own, leaving
        self._kinds: dict[tuple[int, int], int] = {}
        self._displaceable = np.zeros((3, 16), np.int64)
        self._shown: GroupUse | None = None
        self.is_lost = False

    def add(self, group: GroupId, gpus: int, *, leaving: bool = False) -> None:
        """A group holds so much more, or less."""
        self._shown = None
        position = self._positions.get(group)
        if position is None:
            self.is_lost = True
            return
        (self._leaving if leaving else self._own)[position] += gpus

    def add_displaceable(self, group: GroupId, priority: int, gpus: int) -> None:
        """So much more, or less, of what it holds may be preempted by jobs of a higher priority."""
        self._shown = None
        position = self._positions.get(group)
        if position is None:
            self.is_lost = True
            return
        kind = self._kinds.setdefault((position, priority), len(self._kinds))
        if kind == self._displaceable.shape[1]:
            self._displaceable = np.concatenate([self._displaceable, np.zeros_like(self._displaceable)], axis=1)
        self._displaceable[:2, kind] = position, priority
        self._displaceable[2, kind] += gpus

    def show(self, ending: int) -> GroupUse:
        """The count as it is now."""
        if self._shown is None or self._shown.ending != ending:
            displaceable = self._displaceable[:, : len(self._kinds)].copy()
            self._shown = GroupUse(self._own.copy(), self._leaving.copy(), displaceable, ending)
        return self._shown
