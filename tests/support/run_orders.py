"""Builders of the agent's orders for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connectors.protocol import Lease
from scheduler.model.job_state import EndCause
from scheduler.model.wire import GangMember, NodeReport, RunOrder, SiteContract, StopOrder


def node(name: str = "default-0", gpus: int = 8, **values: Any) -> NodeReport:
    defaults: dict[str, Any] = {"pool": "default", "gpu_class": "h100", "cpus": 64, "memory_mib": 65_536}
    return NodeReport(name=name, gpus=gpus, **(defaults | values))


def run_order(
    run_id: int = 1, *, gang: Sequence[tuple[str, Sequence[int]]] = (("default-0", (0,)),), **values: Any
) -> RunOrder:
    """An order of one GPU a worker for one worker on ``default-0``, unless told otherwise."""
    members = tuple(GangMember(node=name, ranks=tuple(ranks)) for name, ranks in gang)
    defaults: dict[str, Any] = {
        "run_id": run_id,
        "job_id": run_id,
        "epoch": 1,
        "job_name": f"job-{run_id}",
        "group": "research.kaist.vision",
        "gpu_class": "h100",
        "workers": sum(len(member.ranks) for member in members),
        "gpus_per_worker": 1,
        "cpus_per_worker": 1,
        "memory_mib_per_worker": 256,
        "gang": members,
        "command": ("true",),
        "environment": {},
        "image": None,
        "working_directory": None,
        "outputs": (),
        "outputs_bytes_max": 1024 * 1024,
        "checkpoint_directory": None,
        "checkpoint_signal": None,
        "grace_seconds": 5.0,
        "walltime_seconds": None,
        "data_class": "O",
        "trust_domain": "research.kaist",
        "public_sector": False,
    }
    return RunOrder.model_validate(defaults | values)


def stop_order(run_id: int = 1, *, grace_seconds: float = 5.0, checkpoint: bool = False, **values: Any) -> StopOrder:
    defaults: dict[str, Any] = {"epoch": 1, "cause": EndCause.CANCELLED}
    return StopOrder(run_id=run_id, grace_seconds=grace_seconds, checkpoint=checkpoint, **(defaults | values))


def lease(boottime_ns: int, *, seconds: float = 60.0, renewal: int = 1) -> Lease:
    return Lease(deadline_boottime_ns=boottime_ns + int(seconds * 1e9), lease_seconds=seconds, renewal=renewal)


def contract(**values: Any) -> SiteContract:
    defaults: dict[str, Any] = {
        "csap": "none",
        "state_facility": False,
        "classified_network": False,
        "isolates_users": False,
        "trust_domain": "research.kaist",
        "lease_seconds": 60.0,
        "supervised": True,
        "policy_version": "2026-11-01",
    }
    return SiteContract.model_validate(defaults | values)
