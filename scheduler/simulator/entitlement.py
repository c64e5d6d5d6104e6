"""What each group was entitled to while it ran: the exact fair share of its demand at every sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quota.fair_share import fair_share
from quota.tree import Group, Quota, QuotaTree
from scheduler.simulator.policy import GroupPolicy
from scheduler.simulator.simulation import Outcome
from scheduler.simulator.timeline import FloatArray, IntArray, Timeline
from scheduler.simulator.workload import ROOT

_ALL = "all"


@dataclass(frozen=True, slots=True, eq=False)
class Entitlement:
    """By group id - 1: ``share`` is (group, sample) in devices of its own jobs; the rest are GPU-hours of the whole run."""

    share: IntArray
    entitled_hours: FloatArray
    had_hours: FloatArray
    deficit_hours: FloatArray  #: what it got less than its share while it got less
    worst_lag_hours: FloatArray  #: the most by which it fell behind its share between any two samples

    @property
    def jain(self) -> float:
        """Jain's index of what groups had over what they were entitled to: 1 where all ratios are equal."""
        known = self.entitled_hours > 0
        ratios = self.had_hours[known] / self.entitled_hours[known]
        squares = float((ratios**2).sum())
        return float(ratios.sum()) ** 2 / (len(ratios) * squares) if squares else 1.0


def entitlement(outcome: Outcome, line: Timeline) -> Entitlement:
    """Divide the capacity of every sample among the groups by their demand then; classes count as one."""
    tree = _tree(outcome).of_class(_ALL)
    positions = np.array([tree.position(number + 1) for number in range(len(outcome.workload.groups))])
    capacity = line.capacity.at(line.times_ms)
    share = np.zeros_like(line.asked)
    demand = np.zeros(len(tree), dtype=np.int64)
    for sample in range(len(line.times_ms)):
        demand[positions] = line.asked[:, sample]
        share[:, sample] = fair_share(tree, demand, int(capacity[sample])).own[positions]
    hours = np.diff(line.times_ms, append=line.end_ms) / 3.6e6
    behind = (share - line.held) * hours
    reached = np.cumsum(behind, axis=1)
    before = np.concatenate((np.zeros((len(reached), 1)), reached[:, :-1]), axis=1)
    return Entitlement(
        share=share,
        entitled_hours=(share * hours).sum(axis=1),
        had_hours=(line.held * hours).sum(axis=1),
        deficit_hours=np.maximum(behind, 0).sum(axis=1),
        worst_lag_hours=np.maximum(reached - np.minimum.accumulate(before, axis=1), 0).max(axis=1, initial=0.0),
    )


def _tree(outcome: Outcome) -> QuotaTree:
    """The policy's tree with the quotas of all classes added up; None stands where any class has no such bound."""
    names = outcome.workload.groups
    ids = {path: number for number, path in enumerate(names, 1)}
    groups = [
        Group(number, path.rpartition(".")[2], None if path == ROOT else ids.get(path.rpartition(".")[0], 1))
        for path, number in ids.items()
    ]
    quotas = {}
    for path, gpus in outcome.cluster.quota_gpus.items():
        if path in ids and path != ROOT:
            quotas[ids[path], _ALL] = Quota(guaranteed=gpus)
    for group in outcome.policy.groups:
        quotas[ids[group.path], _ALL] = _sum(group, len(outcome.cluster.gpu_classes))
    return QuotaTree.build(groups, quotas)


def _sum(group: GroupPolicy, classes: int) -> Quota:
    rows = list(group.quota.values())
    if not rows:
        return Quota()

    def bound(values: list[int | None]) -> int | None:
        known = [value for value in values if value is not None]
        return sum(known) if len(known) == classes else None

    return Quota(
        guaranteed=sum(row.guaranteed for row in rows),
        limit=bound([row.limit for row in rows]),
        borrowing_limit=bound([row.borrowing_limit for row in rows]),
        lending_limit=bound([row.lending_limit for row in rows]),
        weight=max(row.weight for row in rows),
    )
