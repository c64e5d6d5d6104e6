"""What a job of a trace asks beside its gang: to come after other jobs, to be one of an array, to be over by a time."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.model.deadline import start_by_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """``after`` and ``after_ok`` name jobs or arrays of the trace: those have to have started or ended, these to have succeeded.

    Of a task of ``array`` no more than ``running_max`` run at once (None: as many as may be). ``deadline`` is a moment as
    people write it or seconds after the submission. A job that does not ``succeed`` fails at its end.
    """

    after: tuple[str, ...] = ()
    after_ok: tuple[str, ...] = ()
    array: str = ""
    running_max: int | None = None
    deadline: int | str | None = None
    succeeds: bool = True

    def start_by_ms(self, submit_ms: int, walltime_ms: int | None, begins_ms: int) -> int | None:
        """The last moment of the trace at which it may start, ``begins_ms`` being the trace's start in ms since the epoch; None
        without a deadline."""
        if self.deadline is None:
            return None
        return start_by_ms(self.deadline, submit_ms + begins_ms, (walltime_ms or 0) // 1000) - begins_ms


NO_TERMS = Terms()
