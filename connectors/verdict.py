"""How a gang ended, from how its workers did. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.message import message_of
from scheduler.model.job_state import EndCause, RunPhase
from scheduler.model.wire import RunOrder, RunReport

#: What the connector tells supervisors of workers that must end because another of the gang did.
PEER_ENDED = "peer_ended"


@dataclass(frozen=True, slots=True)
class WorkerEnd:
    """The end of one worker. ``cause`` is an ``EndCause`` value or ``PEER_ENDED``; ``node`` is the node whose doing it was,
    where that is known."""

    rank: int
    started_ms: int | None
    ended_ms: int
    exit_code: int | None
    cause: str
    message: str = ""
    node: str | None = None

    @property
    def succeeded(self) -> bool:
        """Ended by itself and well."""
        return self.cause == EndCause.EXITED and self.exit_code == 0


def node_of(order: RunOrder, rank: int) -> str | None:
    """The node on which a worker of the gang is."""
    return next((member.node for member in order.gang if rank in member.ranks), None)


def gang_end(run_id: int, epoch: int, ends: Sequence[WorkerEnd], node_lost: str | None) -> RunReport:
    """The report of a gang all of whose workers have ended: the first to fail gives cause, exit code and node."""
    started = [end.started_ms for end in ends if end.started_ms is not None]
    decisive = min(
        (end for end in ends if not end.succeeded and end.cause != PEER_ENDED),
        key=lambda end: (end.cause != EndCause.START_FAILED, end.ended_ms, end.rank),
        default=None,
    )
    cause, exit_code, message, node = EndCause.EXITED, None, "", node_lost
    if node_lost is not None:
        cause, message = EndCause.NODE_LOST, f"node {node_lost} was lost"
    elif decisive is not None:
        node = decisive.node
        cause, exit_code, message = EndCause(decisive.cause), decisive.exit_code, decisive.message
        if len(ends) > 1:
            message = f"worker {decisive.rank}: {message}" if message else f"worker {decisive.rank} was the first"
    elif all(end.succeeded for end in ends):
        exit_code = 0
    else:
        cause = EndCause.DRIVER_LOST
    return RunReport(
        run_id=run_id,
        epoch=epoch,
        phase=RunPhase.ENDED,
        started_ms=max(started) if len(started) == len(ends) else None,
        ended_ms=max(end.ended_ms for end in ends),
        exit_code=exit_code,
        cause=cause,
        message=message_of(message),
        node=node,
    )
