"""One simulation from files or values to its history: the one way in for the command, benchmarks and sweeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

from scheduler.simulator.cluster import Cluster
from scheduler.simulator.driver import Driver
from scheduler.simulator.groups import group_paths
from scheduler.simulator.history import History
from scheduler.simulator.policy import Baseline, Policy
from scheduler.simulator.trace import TraceRow, UnreadRows
from scheduler.simulator.workload import Workload, build_workload, open_workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was simulated and what happened."""

    cluster: Cluster
    workload: Workload
    policy: Policy
    history: History
    wall_seconds: float


def simulate(
    rows: Sequence[TraceRow] | UnreadRows,
    cluster: Cluster,
    policy: Policy,
    *,
    seed: int = 0,
    checked: bool = True,
) -> Outcome:
    """Replay ``rows`` (sorted by submission) on a cluster; unread ones are read as the simulation comes to them. The same
    arguments give the same history.

    Raises ConfigurationError for a policy that does not suit cluster or trace, InvariantBroken for an unlawful plan.
    """
    began = perf_counter()
    paths, renamed = group_paths(policy, rows.groups if isinstance(rows, UnreadRows) else (row.group for row in rows))
    named = (
        replace(row, group=renamed[row.group]) if row.group and renamed[row.group] != row.group else row for row in rows
    )
    if isinstance(rows, UnreadRows):
        known = dict.fromkeys((*paths, *renamed.values()))
        workload = open_workload(named, cluster, known, policy.begins_ms, rows.over_ms)
    else:
        workload = build_workload(named, cluster, paths, policy.begins_ms)
    end_ms = None if policy.drain else workload.over_ms
    if policy.baseline is Baseline.NONE:
        history = Driver(cluster, workload, policy, seed=seed, end_ms=end_ms, checked=checked).run()
    else:
        from scheduler.simulator.baselines import run_baseline

        history = run_baseline(cluster, workload, policy, end_ms)
    return Outcome(
        cluster=cluster, workload=workload, policy=policy, history=history, wall_seconds=perf_counter() - began
    )
