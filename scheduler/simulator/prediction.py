"""How long a job will run, from what like jobs took: the mean of its user's last two of that size.

Tsafrir, Etsion and Feitelson, "Backfilling using system-generated predictions rather than user runtime estimates" (2007).
Where the user has none, the group's last two; else the last two of that size; else of any.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from scheduler.simulator.workload import SimJob

_Key = tuple[str, object, int]


class Prediction:
    """Run times seen so far."""

    def __init__(self) -> None:
        self._last: dict[_Key, deque[int]] = {}

    def saw(self, job: SimJob) -> None:
        """A job has ended after running for its duration."""
        for key in _keys(job):
            last = self._last.get(key)
            if last is None:
                last = self._last[key] = deque(maxlen=2)
            last.append(job.duration_ms)

    def of(self, job: SimJob) -> int | None:
        """Its expected run time in ms; None while nothing like it has been seen. Never above its walltime."""
        for key in _keys(job):
            last = self._last.get(key)
            if last is not None:
                mean = sum(last) // len(last)
                return mean if job.walltime_ms is None else min(mean, job.walltime_ms)
        return job.walltime_ms


def _keys(job: SimJob) -> Iterator[_Key]:
    if job.user:
        yield "user", job.user, job.gpus
    yield "group", job.group, job.gpus
    yield "size", "", job.gpus
    yield "any", "", 0
