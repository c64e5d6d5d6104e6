"""What no schedule could beat: the place where a simulation asks for its certificate."""

from __future__ import annotations

import numpy as np

from scheduler.cycle.certificate import certify
from scheduler.cycle.certificate_case import CertifiedJobs, PoolCapacity
from scheduler.simulator.simulation import Outcome


def lower_bound_mean_jct_seconds(outcome: Outcome) -> float | None:
    """A lower bound on the mean completion time of all jobs, in seconds; None where there are none, or elastic ones, of which
    the certificate knows nothing.

    All nodes of a class count as one pool that never fails: what is true of more capacity is true of less. Without speeds all
    classes are one.
    """
    jobs = outcome.history.jobs
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
