"""What no schedule could beat: the place where a simulation asks for its certificate."""

from __future__ import annotations

import numpy as np

from scheduler.cycle.certificate import certify
from scheduler.cycle.certificate_case import CertifiedJobs, PoolCapacity
from scheduler.simulator.simulation import Outcome


def lower_bound_mean_jct_seconds(outcome: Outcome) -> float | None:
    """A lower bound on the mean completion time of all jobs, in seconds; None where there are none, or elastic ones, of which
    the certificate knows nothing.

    All nodes count as one pool that never fails: what is true of more capacity is true of less.
    """
    jobs = outcome.history.jobs
    elastic = (shape.workers_max is not None for shape in outcome.workload.shapes.values())
    if not jobs or any(elastic):
        return None
    asked = CertifiedJobs(
        release_seconds=np.array([job.submit_ms for job in jobs]) / 1000,
        duration_seconds=np.array([job.duration_ms for job in jobs]) / 1000,
        gpus=np.array([job.gpus for job in jobs], dtype=np.float64),
    )
    pool = PoolCapacity(start_seconds=np.zeros(1), gpus=np.array([outcome.cluster.devices], dtype=np.float64))
    return certify(asked, [pool]).mean_completion_lower_bound_seconds
