"""The highest epoch this site has seen of each job, kept over restarts: an older one is never started (law
6).

A journal of lines ``job epoch run workers ended``, appended and flushed once for each answer of the server,
and rewritten when it is mostly out of date.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from connectors.agent.durable import write_durably
from connectors.errors import StateUnusable
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
    """All fences, in memory and in a journal. Used by one thread. Raises StateUnusable for a journal that is damaged."""

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
        for number, line in enumerate(lines[:-1], start=1):
            words = line.split()
            if len(words) not in (1, 5) or not all(re.fullmatch(rb"[0-9]{1,20}", word) for word in words):
                raise self._damaged(number)
            numbers = [int(word) for word in words]
            if len(numbers) == 1:
                self._floor_run_id = numbers[0]
            else:
                self._put(Fence(numbers[0], numbers[1], numbers[2], numbers[3], bool(numbers[4])))
        if self._lines or lines[-1]:
            self._rewrite()

    def _damaged(self, line: int) -> StateUnusable:
        # Without it an older epoch could be started beside a newer one: nobody may simply move it away.
        return StateUnusable(
            f"{self._path} is damaged in line {line}, and says which runs may not start again: put a copy back; or, once"
            " no run of this site lives, move the agent's whole folder away and enrol again (dure site enrol NAME)",
            f"{self._path} 파일의 {line}번째 줄이 손상되었습니다. 다시 시작하면 안 되는 실행이 적힌 파일입니다. 사본으로"
            " 되돌리거나, 이 사이트에 살아 있는 실행이 없으면 에이전트 폴더를 통째로 치우고 다시 등록하십시오"
            "(dure site enrol NAME)",
        )

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
