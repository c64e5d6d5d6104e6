"""What happened in a simulation, as every scheduler tells it: run segments, ends, capacity, and what deciding cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

from scheduler.model.ids import GroupId, JobId, SiteId
from scheduler.model.recall import Recall
from scheduler.simulator.gates import Cancelled
from scheduler.simulator.workload import SimJob

#: (node's index in the cluster file, devices)
NodeUse = tuple[int, int]


class EndCause(StrEnum):
    """Why a run segment ended."""

    FINISHED = "finished"
    PREEMPTED = "preempted"  #: for another job, of its own group or another
    RECALLED = "recalled"
    FAILED = "failed"
    SHRUNK = "shrunk"
    GROWN = "grown"
    MOVED = "moved"
    END_OF_TRACE = "end_of_trace"


class Segment(NamedTuple):
    """One stretch of a job on fixed nodes, [start, end) in ms. ``preemptor`` is None where it made room for nobody.

    ``lost_ms`` is the run time that its end cost the job: the restart, and what was in no checkpoint.
    """

    job: SimJob
    site: SiteId
    start_ms: int
    end_ms: int
    gang: tuple[NodeUse, ...]
    cause: EndCause
    preemptor: SimJob | None = None
    lost_ms: int = 0

    @property
    def gpus(self) -> int:
        """Devices that it held."""
        return sum(devices for _, devices in self.gang)


class StandingChange(NamedTuple):
    """From ``at_ms`` on so many thousandths of GPUs of a class count for a group: what it lends and what it surges."""

    at_ms: int
    group: GroupId
    gpu_class: str
    lends: int
    surges: int


@dataclass(slots=True)
class History:
    """The whole of one simulation. ``ends_ms`` has the time each completed job was done, by its index."""

    jobs: Sequence[SimJob]
    segments: list[Segment] = field(default_factory=list)
    ends_ms: dict[int, int] = field(default_factory=dict)
    capacity: list[tuple[int, int]] = field(default_factory=list)  #: (from ms, devices that work may run on)
    cancelled: Mapping[JobId, Cancelled] = field(default_factory=dict)
    lender_credits: Fraction | None = None  #: owed by offers' own rates; None where none has one, or nobody counted
    recalls: Sequence[Recall] = ()
    recalled_nodes: tuple[int, int] = (0, 0)  #: how many lenders asked for, and how many they got
    standings: list[StandingChange] = field(default_factory=list)  #: as time goes by; none where standing is not kept
    #: GPUs that rounds started for a group because of its standing, and GPUs that they would have started without any
    sooner_gpus: Counter[GroupId] = field(default_factory=Counter)
    later_gpus: Counter[GroupId] = field(default_factory=Counter)
    rounds: int = 0
    seconds: dict[str, float] = field(default_factory=dict)  #: wall time by part: snapshot, decide, check_plan, driver
    round_seconds: list[float] = field(default_factory=list)

    def gone_ms(self, index: int, end_ms: int) -> int:
        """When a job asked for nothing any more: done, or cancelled, or ``end_ms``."""
        done_ms = self.ends_ms.get(index)
        if done_ms is not None:
            return done_ms
        cancelled = self.cancelled.get(self.jobs[index].id)
        return end_ms if cancelled is None else max(cancelled.at_ms, self.jobs[index].submit_ms)
