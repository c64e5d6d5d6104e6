"""What a round knows of groups, waiting jobs and live runs."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.model.ids import GroupId, JobId, NodeId, RunId, ShapeId, SiteId


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFacts:
    """A group, with what it inherits worked out."""

    id: GroupId
    path: str
    parent: GroupId | None
    trust_domain: str
    public_sector: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingJob:
    """A queued job. ``bound_site`` holds its checkpoint: it starts there or not at all."""

    id: JobId
    group: GroupId
    shape: ShapeId
    priority: int
    submitted_ms: int
    bound_site: SiteId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRun:
    """A run that holds nodes. ``gang`` lists (node, workers). ``expected_end_ms`` is None where nobody can tell."""

    id: RunId
    job: JobId
    group: GroupId
    site: SiteId
    gpu_class: str
    gpus_per_worker: int
    cpus_per_worker: int
    memory_mib_per_worker: int
    gang: tuple[tuple[NodeId, int], ...]
    started_ms: int = 0
    preemptible: bool = True
    priority: int = 0
    expected_end_ms: int | None = None

    @property
    def gpus(self) -> int:
        """GPUs it holds."""
        return self.gpus_per_worker * sum(workers for _, workers in self.gang)
