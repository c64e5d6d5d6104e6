"""Who may take from whom: a group below its share from those above theirs, and higher priority inside one group.

Between groups the branches are compared where they part: with the gang every group on the preemptor's path below that
point, and its own work, stays within its fair share; on the victim's path every group, and its own work, is above it. So a
reclaim never makes anybody eligible to take back what it took, and the number of GPUs above shares only falls: reclaims
end (law 4). What a group runs inside its own guarantee no other group gets: by priority, then the longest running, each run
that fits into what is left of the guarantee is inside it; one that straddles it counts as borrowed as a whole. Of an elastic run
its least workers count, since the others are given back before (``shrink``). A
group's own work beside groups below it is guaranteed nothing among them, as in ``fair_share``; others reach it only when the
whole group is above its share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from quota.admission import Admitted, Usage, admit
from quota.fair_share import FairShares
from quota.tree import ClassTree, IntArray
from scheduler.cycle.facts import LiveRun
from scheduler.model.ids import GroupId, RunId
from scheduler.placement.displace import Occupant


def guaranteed_own(usage: Usage) -> IntArray:
    """By position: the effective guarantee of the work that is charged at the group itself."""
    own: IntArray = np.where(usage.tree.inner, 0, usage.guaranteed)
    return own


def protected_runs(runs: Sequence[LiveRun], guaranteed: int) -> frozenset[RunId]:
    """Which of one group's runs of a GPU class lie wholly inside its ``guaranteed`` GPUs."""
    if guaranteed <= 0:
        return frozenset()
    counted = [(run, run.gpus - run.spare_gpus) for run in runs]
    if sum([gpus for _, gpus in counted]) <= guaranteed:
        return frozenset([run.id for run, _ in counted])
    inside, left = [], guaranteed
    counted.sort(key=lambda each: (each[0].preemptible, -each[0].priority, each[0].started_ms, each[0].id))
    for run, gpus in counted:
        if gpus <= left:
            inside.append(run.id)
            left -= gpus
            if not left:
                break
    return frozenset(inside)


def reaches_up_to(usage: Usage, shares: FairShares, position: int, gpus: int) -> int | None:
    """The highest group in whose subtree a group at ``position`` may reclaim for ``gpus`` more; None for nowhere."""
    if usage.own[position] + gpus > shares.own[position]:
        return None
    at = position
    while (above := int(usage.tree.parent[at])) >= 0 and usage.used[at] + gpus <= shares.share[at]:
        at = above
    return at


def is_above_share(usage: Usage, shares: FairShares, victim: int, preemptor: int) -> bool:
    """Whether a group's own work, and every group on its path below where the paths part, is above its share."""
    if usage.own[victim] <= shares.own[victim]:
        return False
    tree, at = usage.tree, victim
    onto = path_of(tree, preemptor)
    while at not in onto:
        if usage.used[at] <= shares.share[at]:
            return False
        at = int(tree.parent[at])
    return True


def path_of(tree: ClassTree, position: int) -> frozenset[int]:
    """A group's position with those of all groups above it."""
    found = set()
    while position >= 0:
        found.add(position)
        position = int(tree.parent[position])
    return frozenset(found)


class Claim:
    """One gang's claim on what others run, while victims are chosen: a ``displace.Consent`` by run number."""

    def __init__(
        self,
        usage: Usage,
        shares: FairShares,
        group: GroupId,
        gpus: int,
        *,
        firm: bool,
        run_of: Callable[[int], LiveRun],
    ) -> None:
        self._usage, self._shares = usage.copy(), shares
        self._group, self._gpus, self._firm = group, gpus, firm
        self._position = usage.tree.position(group)
        self._run_of = run_of

    def may_end(self, occupant: Occupant, /) -> bool:
        """Own runs always, given that only those of lower priority are asked about."""
        run = self._run_of(occupant.run)
        if run.group == self._group:
            return True
        return is_above_share(self._usage, self._shares, self._usage.tree.position(run.group), self._position)

    def end(self, occupant: Occupant) -> None:
        """Count the run no more."""
        run = self._run_of(occupant.run)
        self._usage.release(run.group, run.gpus)

    def keep(self, occupant: Occupant) -> None:
        """Count the run again."""
        run = self._run_of(occupant.run)
        self._usage.charge(run.group, run.gpus)

    def suffices(self) -> bool:
        """Whether quotas admit the gang now."""
        answer = admit(self._usage, self._group, self._gpus, inside_guarantee=self._firm)
        return isinstance(answer, Admitted)
