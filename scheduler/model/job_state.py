"""States of a job and phases of a run, with the moves that are allowed between them. Where an end leads is ``retry``'s."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class JobState(StrEnum):
    """Where a job stands; the words users see."""

    QUEUED = "queued"  #: waits for a round to place it
    HELD = "held"  #: its owner keeps it out of the rounds
    LEASED = "leased"  #: a plan gave it to a site whose agent has not reported it yet
    STARTING = "starting"  #: the agent has created the remote object
    RUNNING = "running"  #: every worker of the gang runs
    PREEMPTING = "preempting"  #: its run is being stopped and the job goes back to the queue
    CANCELLING = "cancelling"  #: its run is being stopped for good
    UNREACHABLE = "unreachable"  #: its site fell silent; held, never guessed dead
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class RunPhase(StrEnum):
    """How far one attempt has come, as its agent reports it."""

    LEASED = "leased"
    STARTING = "starting"
    RUNNING = "running"
    ENDED = "ended"


class EndCause(StrEnum):
    """Why a run ended."""

    EXITED = "exited"  #: the command ended by itself; its exit code tells how
    WALLTIME = "walltime"  #: the job's own walltime was over
    CANCELLED = "cancelled"
    REQUEUED = "requeued"  #: its owner sent it back to the queue
    SITE_STOPPED = "site_stopped"  #: the operator's emergency stop
    START_FAILED = "start_failed"  #: the engine could not start the whole gang
    REFUSED = "refused"  #: the agent refused it (data class, stale epoch), or its engine will not have it
    NODE_LOST = "node_lost"
    DRIVER_LOST = "driver_lost"  #: the engine's own process for the run died
    LEASE_EXPIRED = "lease_expired"  #: the supervisors ended it: no renewal came in time
    VANISHED = "vanished"  #: the agent no longer knows the run
    WITHDRAWN = "withdrawn"  #: taken back before the agent had reported it
    DECLARED_LOST = "declared_lost"  #: the operator answered for a silent site
    PREEMPTED = "preempted"  #: for a job of higher priority in its own group
    RECLAIMED = "reclaimed"  #: for another group's share
    RECALLED = "recalled"  #: the lender wanted its nodes back
    MOVED = "moved"  #: to make room for a gang
    SHRUNK = "shrunk"  #: to go on with fewer workers
    GROWN = "grown"  #: to go on with more workers


TERMINAL_STATES = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})
WAITING_STATES = frozenset({JobState.QUEUED, JobState.HELD})
ACTIVE_STATES = frozenset(
    {
        JobState.LEASED,
        JobState.STARTING,
        JobState.RUNNING,
        JobState.PREEMPTING,
        JobState.CANCELLING,
        JobState.UNREACHABLE,
    }
)

#: Causes that are nobody's fault in the job: it is tried again without using up one of its retries.
INFRASTRUCTURE_CAUSES = frozenset(
    {
        EndCause.START_FAILED,
        EndCause.NODE_LOST,
        EndCause.DRIVER_LOST,
        EndCause.LEASE_EXPIRED,
        EndCause.VANISHED,
        EndCause.WITHDRAWN,
        EndCause.DECLARED_LOST,
        EndCause.SITE_STOPPED,
        EndCause.REFUSED,
    }
)

#: Runs whose jobs go on elsewhere, or with another number of workers, as soon as they have stopped.
MOVING_CAUSES = frozenset({EndCause.MOVED, EndCause.SHRUNK, EndCause.GROWN})
#: Runs that had to make way. That is nobody's fault and costs the job nothing: it is placed again as soon as may be.
YIELDED_CAUSES = frozenset({EndCause.PREEMPTED, EndCause.RECLAIMED, EndCause.RECALLED}) | MOVING_CAUSES

_Q, _H, _L, _S, _R = JobState.QUEUED, JobState.HELD, JobState.LEASED, JobState.STARTING, JobState.RUNNING
_P, _C, _U = JobState.PREEMPTING, JobState.CANCELLING, JobState.UNREACHABLE
_ENDS = TERMINAL_STATES

ALLOWED_MOVES: Mapping[JobState, frozenset[JobState]] = {
    _Q: frozenset({_L, _H, JobState.CANCELLED, JobState.FAILED}),
    _H: frozenset({_Q, JobState.CANCELLED}),
    _L: frozenset({_S, _R, _P, _C, _U, _Q} | _ENDS),
    _S: frozenset({_R, _P, _C, _U, _Q} | _ENDS),
    _R: frozenset({_P, _C, _U, _Q} | _ENDS),
    _P: frozenset({_C, _U, _Q, _H} | _ENDS),
    _C: frozenset({_U} | _ENDS),
    _U: frozenset({_L, _S, _R, _P, _C, _Q} | _ENDS),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}
