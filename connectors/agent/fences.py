"""The highest epoch this site has seen of each job, kept over restarts: an older one is never started (law
6).

A journal of lines ``job epoch run workers ended``, appended and flushed once for each answer of the server,
and rewritten when it is mostly out of date.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from connectors.agent.durable import write_durably
from scheduler.model.wire import RunOrder

REWRITE_LINES_MIN = 100_000
#: Above so many jobs those with the oldest runs are dropped, and runs as old as theirs are no longer taken.
JOBS_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Fence:
    """The newest run seen of a job. ``ended`` means that it has come to its end here and was acknowledged."""

    job_id: int
    epoch: int
    run_id: int
    workers: int
    ended: bool = False


class Fences:
    """All fences, in memory and in a journal. Used by one thread."""

    def __init__(self, path: Path, *, jobs_max: int = JOBS_MAX) -> None:
        self._path = path
        self._jobs_max = jobs_max
        self._by_job: dict[int, Fence] = {}
        self._by_run: dict[int, Fence] = {}
        self._floor_run_id = 0
        self._lines = 0
        self._load()
        self._journal = path.open("ab")

    def _load(self) -> None:
        try:
            lines = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            write_durably(self._path, b"")
            return
        # The last piece is empty, or a line that a crash cut short: nothing was started on its word.
        for line in lines[:-1]:
            words = [int(word) for word in line.split()]
            if len(words) == 1:
                self._floor_run_id = words[0]
            else:
                self._put(Fence(words[0], words[1], words[2], words[3], bool(words[4])))
        if self._lines or lines[-1]:
            self._rewrite()

    def why_stale(self, order: RunOrder) -> str | None:
        """Why this order must not be started here; None where it may."""
        fence = self._by_job.get(order.job_id)
        if fence is None:
            stale = order.run_id <= self._floor_run_id
            return f"run {order.run_id} is older than this site remembers" if stale else None
        if order.epoch < fence.epoch:
            return f"epoch {order.epoch} is stale: this site has seen epoch {fence.epoch} of job {order.job_id}"
        if order.epoch == fence.epoch and order.run_id != fence.run_id:
            return f"epoch {order.epoch} of job {order.job_id} is run {fence.run_id}, not {order.run_id}"
        if order.epoch == fence.epoch and fence.ended:
            return f"run {order.run_id} has ended here already"
        return None

    def of_job(self, job_id: int) -> Fence | None:
        """The newest run seen of a job."""
        return self._by_job.get(job_id)

    def of_run(self, run_id: int) -> Fence | None:
        """The fence a run stands for, while it is its job's newest or has not come to its end."""
        return self._by_run.get(run_id)

    def raise_to(self, orders: Iterable[RunOrder]) -> None:
        """Note that these are about to be started; durable when it returns."""
        self._append(Fence(order.job_id, order.epoch, order.run_id, order.workers) for order in orders)

    def mark_ended(self, run_ids: Iterable[int]) -> None:
        """Note that these have ended and may never be started again; durable when it returns."""
        known = [self._by_run[run_id] for run_id in run_ids if run_id in self._by_run]
        self._append(replace(fence, ended=True) for fence in known)

    def _append(self, fences: Iterable[Fence]) -> None:
        lines = []
        for fence in fences:
            self._put(fence)
            lines.append(_line(fence))
        if not lines:
            return
        self._journal.write(b"".join(lines))
        self._journal.flush()
        os.fsync(self._journal.fileno())
        if self._lines > max(REWRITE_LINES_MIN, 4 * len(self._by_job)):
            self._rewrite()

    def _put(self, fence: Fence) -> None:
        self._lines += 1
        before = self._by_job.get(fence.job_id)
        if before is not None and fence.epoch < before.epoch:
            # Of a run whose job has a newer one only its end is noted: nothing is left to be done for it.
            if fence.ended:
                self._by_run.pop(fence.run_id, None)
            else:
                self._by_run[fence.run_id] = fence
            return
        if before is not None and before.run_id != fence.run_id and before.ended:
            self._by_run.pop(before.run_id, None)
        self._by_job[fence.job_id] = self._by_run[fence.run_id] = fence

    def _rewrite(self) -> None:
        if len(self._by_job) > self._jobs_max:
            oldest = sorted((fence for fence in self._by_job.values() if fence.ended), key=lambda fence: fence.run_id)
            for fence in oldest[: len(self._by_job) - self._jobs_max]:
                del self._by_job[fence.job_id], self._by_run[fence.run_id]
                self._floor_run_id = max(self._floor_run_id, fence.run_id)
        fences = {**self._by_run, **{fence.run_id: fence for fence in self._by_job.values()}}
        lines = [f"{self._floor_run_id}\n".encode(), *(_line(fence) for fence in fences.values())]
        write_durably(self._path, b"".join(lines))
        self._lines = len(lines)
        if hasattr(self, "_journal"):
            self._journal.close()
            self._journal = self._path.open("ab")

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()


def _line(fence: Fence) -> bytes:
    return f"{fence.job_id} {fence.epoch} {fence.run_id} {fence.workers} {int(fence.ended)}\n".encode()
