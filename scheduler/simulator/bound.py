"""What no schedule could beat: the place where a simulation asks for its certificate."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

import numpy as np

from scheduler.cycle.certificate import certify
from scheduler.cycle.certificate_case import CertifiedJobs, PoolCapacity
from scheduler.simulator.simulation import Outcome


def within_percent(times_the_bound: float) -> float:
    """By how many percent a schedule is above what any could do, at the most: rounded up to a tenth."""
    return max(0.0, ceil(round((times_the_bound - 1) * 1000, 6)) / 10)


def sentence(name: str, figures: Mapping[str, Any]) -> tuple[str, str] | None:
    """How near a schedule's figures are to the best possible, in English and in Korean; None where no bound is known."""
    if figures["times_the_bound"] is None:
        return None
    jobs, percent = f"{figures['completed']:,}", f"{within_percent(figures['times_the_bound']):,.1f}"
    mean, bound = f"{figures['mean_jct_s']:,.0f}", f"{figures['lower_bound_mean_jct_s']:,.0f}"
    return (
        f"{name}: the mean completion of the {jobs} job(s) that completed was {mean} s, within {percent} % of what any schedule "
        f"could do: none could have had less than {bound} s.",
        f"{name}: 끝난 작업 {jobs}개의 평균 완료 시간은 {mean}초이며, 어떤 스케줄이었더라도 {bound}초 미만일 수 없었습니다. "
        f"가능한 최선과의 차이는 {percent} % 이내입니다.",
    )


def lower_bound_mean_jct_seconds(outcome: Outcome) -> float | None:
    """A lower bound on the mean completion time of the jobs that completed, in seconds; None where there are none, or elastic
    ones, of which the certificate knows nothing. That others had to be served too makes it no less true.

    All nodes of a class count as one pool that never fails: what is true of more capacity is true of less. Without speeds all
    classes are one.
    """
    history = outcome.history
    jobs = [history.jobs[index] for index in sorted(history.ends_ms)]
    elastic = (shape.workers_max is not None for shape in outcome.workload.shapes.values())
    if not jobs or any(elastic):
        return None
    speeds, shapes, cluster = outcome.policy.speeds, outcome.workload.shapes, outcome.cluster
    classes = cluster.gpu_classes if speeds else ("",)
    slowdown = {
        number: [
            float(1 / outcome.policy.speed_of(name, shape.gpu_classes))
            if not speeds or name in (shape.gpu_classes or classes)
            else np.inf
            for name in classes
        ]
        for number, shape in shapes.items()
    }
    asked = CertifiedJobs(
        release_seconds=np.array([job.submit_ms for job in jobs]) / 1000,
        duration_seconds=np.array([np.array(slowdown[job.shape]) * (job.duration_ms / 1000) for job in jobs]),
        gpus=np.array([job.gpus for job in jobs], dtype=np.float64),
    )
    pools = [
        PoolCapacity(
            start_seconds=np.zeros(1),
            gpus=np.array([sum(node.gpus for node in cluster.nodes if not speeds or node.gpu_class == name)]),
        )
        for name in classes
    ]
    return certify(asked, pools).mean_completion_lower_bound_seconds
