"""What keeps jobs from rounds: jobs that they come after, the bound of their array, their deadline. The rules are production's:
``model.dependency``, ``cycle.throttle`` and ``model.deadline``.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from scheduler.cycle.throttle import Throttles
from scheduler.model.dependency import Condition, Outlook, outlook
from scheduler.model.ids import JobId
from scheduler.model.job_state import JobState
from scheduler.simulator.workload import SimJob, Workload

_NOBODY = JobId(0)


class CancelCause(StrEnum):
    """Why a job was cancelled before it had done its work."""

    DEADLINE = "deadline_missed"
    DEPENDENCY = "dependency_failed"


class Cancelled(NamedTuple):
    """Why and when a job was cancelled; one that had not come yet, before it came."""

    cause: CancelCause
    at_ms: int


class _Task(NamedTuple):
    """What ``Throttles`` reads of a task."""

    id: JobId
    array_id: str
    array_running_max: int
    state: str
    earmark: bool | None = None
    bound_site_id: None = None
    refusals: None = None


@dataclass(slots=True)
class _Awaited:
    """A job or an array that others come after: which jobs of it are still to come, and who waits for them."""

    condition: Condition
    open: set[JobId]
    waiters: list[JobId] = field(default_factory=list)


class Gates:
    """Which jobs rounds may see. ``cancelled`` says why and when a job was given up, by id; ``is_any``: there is a gate at all.

    ``start_by_ms`` is looked at while a job waits, however often it does; what goes on is none of a deadline's business.
    """

    def __init__(self, workload: Workload) -> None:
        self.is_any = bool(workload.terms)
        self.cancelled: dict[JobId, Cancelled] = {}
        self._terms, self._start_by_ms = workload.terms, workload.start_by_ms
        self._throttles = Throttles()
        self._waits: set[JobId] = set()  #: those with terms that are neither running nor over
        self._times: list[tuple[int, JobId]] = []
        self._free: list[JobId] = []
        self._gone: list[JobId] = []
        self._awaited: dict[JobId, list[_Awaited]] = {}
        self._missing: Counter[JobId] = Counter()
        if self.is_any:
            self._make_awaited(workload.jobs)

    def _make_awaited(self, jobs: Sequence[SimJob]) -> None:
        members: dict[str, set[JobId]] = {}
        for job in jobs:
            terms = self._terms.get(job.id)
            for name in (job.name, terms.array if terms else ""):
                if name:
                    members.setdefault(name, set()).add(job.id)
        known: dict[tuple[str, Condition], _Awaited] = {}
        for waiter, terms in self._terms.items():
            wanted = [(name, Condition.START) for name in terms.after]
            wanted += [(name, Condition.SUCCESS) for name in terms.after_ok]
            for name, condition in wanted:
                if name not in members:  # it came before the window that is simulated
                    continue
                if (name, condition) not in known:
                    known[name, condition] = found = _Awaited(condition, set(members[name]))
                    for member in found.open:
                        self._awaited.setdefault(member, []).append(found)
                known[name, condition].waiters.append(waiter)
                self._missing[waiter] += 1

    @property
    def next_ms(self) -> int | None:
        """When a job is let go, or cannot be over by its deadline any more."""
        times = self._times
        while times and times[0][1] != _NOBODY and times[0][1] not in self._waits:
            heapq.heappop(times)
        return times[0][0] if times else None

    def wait(self, jobs: Sequence[SimJob]) -> Sequence[SimJob]:
        """Jobs begin to wait: answer those that wait for a round and for nothing else. The others come by ``settle``."""
        if not self.is_any:
            return jobs
        return [job for job in jobs if job.id not in self._terms or self._waits_for_round(job.id)]

    def _waits_for_round(self, job: JobId) -> bool:
        if job in self.cancelled:
            return False
        self._begin(job)
        if self._missing[job]:
            return False
        self._show(job)
        return self._terms[job].running_max is None

    def _begin(self, job: JobId) -> None:
        self._waits.add(job)
        if job in self._start_by_ms:
            heapq.heappush(self._times, (self._start_by_ms[job] + 1, job))

    def _show(self, job: JobId, *, earmark: bool | None = None) -> None:
        self._tell_throttle(job, JobState.QUEUED, ready=True, earmark=earmark)

    def _tell_throttle(self, job: JobId, state: JobState, *, ready: bool = False, earmark: bool | None = None) -> None:
        terms = self._terms[job]
        if terms.running_max is not None:
            self._throttles.take(_Task(job, terms.array, terms.running_max, state.value, earmark), ready=ready)

    def earmarked(self, job: JobId) -> None:
        """Nodes are held for a job that waits."""
        if job in self._waits:
            self._show(job, earmark=True)

    def started(self, job: JobId, now_ms: int) -> None:
        """A run of a job starts. What that lets go is looked at a moment later: rounds of one instant come to an end."""
        if job in self._terms:
            self._waits.discard(job)
            self._tell_throttle(job, JobState.RUNNING)
        if self._changed(job, JobState.RUNNING, now_ms, has_started=True):
            heapq.heappush(self._times, (now_ms + 1, _NOBODY))

    def stopped(self, job: JobId) -> None:
        """A run is gone, and its job goes on elsewhere, for which nodes may be held already."""
        if job in self._terms:
            self._begin(job)
            self._show(job, earmark=True)

    def finished(self, job: JobId, now_ms: int) -> None:
        """A job has done its work."""
        terms = self._terms.get(job)
        state = JobState.SUCCEEDED if terms is None or terms.succeeds else JobState.FAILED
        if terms is not None:
            self._tell_throttle(job, state)
        self._changed(job, state, now_ms, has_started=True)

    def pass_time(self, now_ms: int) -> None:
        """Cancel what waits and cannot be over by its deadline any more."""
        times = self._times
        while times and times[0][0] <= now_ms:
            job = heapq.heappop(times)[1]
            if job in self._waits:
                self._give_up(job, Cancelled(CancelCause.DEADLINE, now_ms))
                self._changed(job, JobState.CANCELLED, now_ms, has_started=False)

    def settle(self, now_ms: int) -> tuple[list[JobId], list[JobId]]:
        """Jobs that rounds have to see from now on, and such as they must not see any more, some of which they do not see."""
        self.pass_time(now_ms)
        rows, throttled = self._throttles.choose(frozenset())
        shown = [job for job in self._free if job not in self.cancelled]
        shown += [row.id for row in rows if row.earmark is None]
        hidden = [JobId(job) for job in throttled] + self._gone
        self._free, self._gone = [], []
        return shown, hidden

    def _give_up(self, job: JobId, how: Cancelled) -> None:
        self.cancelled[job] = how
        if job in self._waits:
            self._waits.discard(job)
            self._gone.append(job)
            self._tell_throttle(job, JobState.CANCELLED)

    def _changed(self, job: JobId, state: JobState, now_ms: int, *, has_started: bool) -> bool:
        """Settle what comes after a job, and what comes after that; answer whether anything is let go."""
        lets_go = False
        changed = [(job, state, has_started)] if job in self._awaited else []
        while changed:
            member, its_state, started = changed.pop()
            for awaited in self._awaited.get(member, ()):
                how = outlook(awaited.condition, its_state, has_started=started)
                if how is Outlook.OPEN or member not in awaited.open:
                    continue
                awaited.open.discard(member)
                if how is Outlook.NEVER:
                    waiters, awaited.waiters = awaited.waiters, []
                    for waiter in waiters:
                        if waiter not in self.cancelled:
                            self._give_up(waiter, Cancelled(CancelCause.DEPENDENCY, now_ms))
                            changed.append((waiter, JobState.CANCELLED, False))
                elif not awaited.open:
                    for waiter in awaited.waiters:
                        lets_go |= self._let_go(waiter)
        return lets_go

    def _let_go(self, waiter: JobId) -> bool:
        self._missing[waiter] -= 1
        if self._missing[waiter] or waiter not in self._waits:
            return False
        self._show(waiter)
        if self._terms[waiter].running_max is None:
            self._free.append(waiter)
        return True
