"""What a worker on its node is told to run."""

from __future__ import annotations

from typing import Any

from connectors.agent.environment import INHERITED_NAMES, INHERITED_PREFIXES, worker_environment
from connectors.ray.settings import RaySettings
from scheduler.model.wire import RunOrder


def spec_of(order: RunOrder, rank: int, port: int, settings: RaySettings, *, packed: bool) -> dict[str, Any]:
    """The worker's command and all that belongs to it, as JSON. ``port`` is the gang's rendezvous on worker 0's node;
    ``packed`` says that there is a working directory to fetch.
    """
    directory = order.checkpoint_directory
    if directory == "auto":
        directory = str(settings.checkpoints / f"job-{order.job_id}")
    master = next(member.node for member in order.gang if 0 in member.ranks)
    environment = worker_environment(
        order, rank, master_address=master, master_port=port, checkpoint_directory=directory, machine={}
    )
    options = ["--grace-seconds", str(order.grace_seconds), "--log-bytes-max", str(settings.log_bytes_max)]
    if order.checkpoint_signal is not None:
        options += ["--checkpoint-signal", order.checkpoint_signal]
    if order.walltime_seconds is not None:
        options += ["--walltime-seconds", str(order.walltime_seconds)]
    return {
        "command": list(order.command),
        "environment": environment,
        "inherited_names": sorted(INHERITED_NAMES),
        "inherited_prefixes": list(INHERITED_PREFIXES),
        "options": options,
        "archive": packed,
        "checkpoint_directory": directory if order.checkpoint_directory == "auto" else None,
        "outputs": list(order.outputs),
        "outputs_bytes_max": order.outputs_bytes_max,
    }
