"""What no schedule could beat: the place where a simulation asks for its certificate."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from scheduler.simulator.simulation import Outcome

_CERTIFICATE = "scheduler.cycle.certificate"


def lower_bound_mean_jct_seconds(outcome: Outcome) -> float | None:
    """A lower bound on the mean completion time of all jobs, in seconds; None where there is no certificate."""
    if not outcome.history.jobs or find_spec(_CERTIFICATE) is None:
        return None
    certify = import_module(_CERTIFICATE).certify
    jobs = [(job.submit_ms, job.duration_ms, job.gpus) for job in outcome.history.jobs]
    return float(certify(jobs, outcome.cluster.devices)) / 1000
