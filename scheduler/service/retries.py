"""Jobs whose runs failed and that wait a while in the queue before rounds see them again."""

from __future__ import annotations

from scheduler.clock import Clock
from scheduler.model.retry import RETRY_SECONDS_MAX


class Retries:
    """Jobs that are not due yet. Not thread-safe.

    The time stands in the record by the wall clock. One that lies further ahead than any wait says that the clock was
    set back: then nobody waits for it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._not_before_ms: dict[int, int] = {}

    def holds(self, job_id: int, not_before_ms: int | None) -> bool:
        """Whether a queued job waits on; it is kept here until it is due. None: it does not wait, or no more."""
        self._not_before_ms.pop(job_id, None)
        if not_before_ms is None or self._is_due(not_before_ms):
            return False
        self._not_before_ms[job_id] = not_before_ms
        return True

    def due(self) -> list[int]:
        """Jobs that are due now; they are forgotten."""
        due = [job_id for job_id, at_ms in self._not_before_ms.items() if self._is_due(at_ms)]
        for job_id in due:
            del self._not_before_ms[job_id]
        return due

    def _is_due(self, not_before_ms: int) -> bool:
        return not 0 < not_before_ms - self._clock.now_ms() <= RETRY_SECONDS_MAX * 1000
