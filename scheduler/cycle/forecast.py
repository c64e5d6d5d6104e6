"""When waiting jobs would start, by the production round itself: a federation goes on without anything new.

Nobody submits, and no node comes or goes. Every run ends when like jobs would (``LiveRun.likely_end_ms``), else when its
walltime is over, and so does a job that the forecast starts, on the GPU class on which it does (``LeftOn``); a run of which
neither is known never ends. What rounds know of ends is the walltime alone, here too. A run that is told to make way ends
after its grace, and its job waits again.
Between the instants at which something ends, a run has had its minimum run time, a site lends otherwise, or one that
refused a job is asked again, a round has nothing new to decide on, so that those instants are all that is looked at. A job
that the forecast starts is taken to want no grace, to keep no checkpoint, and to be refused nowhere.

A large federation has more such instants than rounds can be afforded. So the first half of a forecast's rounds goes from
one instant to the next, and the second half takes together what ends within a stretch of time that grows with the
distance, as if all of it ended with the last: what is far away is told more coarsely, and rather too late.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain

from scheduler.cycle.decide import decide
from scheduler.cycle.facts import ClassKey, Earmarked, LiveRun, WaitingJob
from scheduler.cycle.federation import Federation
from scheduler.cycle.move import jobs_moved
from scheduler.cycle.plan import Earmark, Plan, Start, Stop
from scheduler.cycle.snapshot import Snapshot
from scheduler.cycle.stay import NEVER_MS
from scheduler.model.ids import JobId, NodeId, RunId
from scheduler.model.reason import Number, ReasonCode

#: How long a job still runs, ms, that starts on a GPU class; None: nobody can tell. Asked at each start.
LeftOn = Callable[[WaitingJob, str], int | None]
_MINUTE_MS = 60_000
_DAY_MS = 86_400_000
#: With fewer, nothing but the next minutes is told.
_STEPS_MIN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastLimits:
    """How far a forecast goes. A step is one round.

    ``looks_max`` bounds the sum over steps of runs and waiting jobs, which is about what a forecast costs:
    seconds, tens of them where tens of thousands of runs are in each other's way.
    ``horizon_ms``: sums of walltimes, which people set high, say little about the week after next.
    """

    steps_max: int = 600
    looks_max: int = 1_000_000
    horizon_ms: int = 14 * _DAY_MS
    waiting_max: int = 10_000


DEFAULT_LIMITS = ForecastLimits()


def left_on_any(job: WaitingJob, _gpu_class: str) -> int | None:
    """What is known of a job whatever the class, where nobody knows more."""
    return job.expected_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Eta:
    """An estimate of a job's start, and ``code`` its basis; or None, and why it is not known."""

    start_ms: int | None
    code: ReasonCode
    numbers: Mapping[str, Number] = field(default_factory=dict)


class Forecast:
    """What becomes of the jobs that wait in ``federation``, which stays as it is. Not thread-safe."""

    def __init__(
        self, federation: Federation, limits: ForecastLimits = DEFAULT_LIMITS, left_on: LeftOn = left_on_any
    ) -> None:
        """Rounds are made here, at most ``limits.steps_max`` of them, the first at the moment of which the federation speaks."""
        snapshot = federation.snapshot()
        self._limits = limits
        self._jobs = _waiting_in(snapshot)
        self._course: _Course | None = None
        self._alone = _Alone(federation, snapshot.now_ms)
        self.made_ms = snapshot.now_ms
        if len(self._jobs) <= limits.waiting_max:
            self._course = _Course(federation.copy(), self._jobs, limits, left_on)
            self._course.run()

    @property
    def until_ms(self) -> int:
        """How far it reaches."""
        return self.made_ms if self._course is None else self._course.until_ms

    @property
    def steps(self) -> int:
        """How many rounds it made."""
        return 0 if self._course is None else self._course.steps

    def of(self, job_id: JobId) -> Eta | None:
        """What is said of a job; None of one that did not wait."""
        job, course = self._jobs.get(job_id), self._course
        if job is None:
            return None
        if course is None:
            numbers = {"waiting": len(self._jobs), "waiting_max": self._limits.waiting_max}
            return Eta(start_ms=None, code=ReasonCode.ETA_TOO_MANY_WAITING, numbers=numbers)
        if job_id in course.starts:
            start_ms, runs, predicted = course.starts[job_id]
            if predicted:
                numbers = {"runs": runs, "predicted": predicted}
                return Eta(start_ms=start_ms, code=ReasonCode.ETA_BY_PREDICTIONS, numbers=numbers)
            if runs:
                return Eta(start_ms=start_ms, code=ReasonCode.ETA_BY_WALLTIMES, numbers={"runs": runs})
            if start_ms == self.made_ms:
                return Eta(start_ms=start_ms, code=ReasonCode.ETA_NEXT_ROUND)
            return Eta(start_ms=start_ms, code=ReasonCode.ETA_BY_REFUSAL if job.refusals else ReasonCode.ETA_BY_LENDING)
        if not self._alone.starts(job):
            return Eta(start_ms=None, code=ReasonCode.ETA_NOT_AS_THINGS_ARE)
        if course.settled:
            return Eta(start_ms=None, code=ReasonCode.ETA_WITHOUT_WALLTIME, numbers={"runs": course.endless})
        return Eta(start_ms=None, code=ReasonCode.ETA_BEYOND_FORECAST)


def _waiting_in(snapshot: Snapshot) -> dict[JobId, WaitingJob]:
    held = [earmark.job for earmark in snapshot.earmarks.values()]
    return {job.id: job for job in chain(snapshot.table.jobs(), held)}


class _Alone:
    """Whether a job would start if it were the only one, by class."""

    def __init__(self, federation: Federation, now_ms: int) -> None:
        self._federation, self._now_ms = federation.copy(), now_ms
        self._emptied = False
        self._known: dict[ClassKey, bool] = {}

    def starts(self, job: WaitingJob) -> bool:
        """Whether the next round would start it on a federation without runs."""
        job = replace(job, refusals=())  # which are over some time
        key = job.key
        if key not in self._known:
            self._empty()
            self._federation.put_waiting([job])
            self._federation.lend(self._now_ms)
            self._known[key] = len(decide(self._federation.snapshot(), 0).starts) > 0
            self._federation.drop_waiting(job.id)
        return self._known[key]

    def _empty(self) -> None:
        if self._emptied:
            return
        for run in list(self._federation.live_runs):
            self._federation.drop_run(run)
        for job in _waiting_in(self._federation.snapshot()):
            self._federation.drop_waiting(job)
        self._emptied = True


class _Course:
    """The federation as it goes on. ``starts`` says when each of ``asked`` starts first, how many runs ended before, and how
    many of those at a time that is predicted from like jobs."""

    def __init__(
        self, federation: Federation, asked: Mapping[JobId, WaitingJob], limits: ForecastLimits, left_on: LeftOn
    ) -> None:
        self._federation, self._left_on = federation, left_on
        snapshot = federation.snapshot()
        self._shapes, self._minimum_run_ms = snapshot.shapes, snapshot.preemption.minimum_run_ms
        self._jobs = dict(asked)
        self._horizon_ms = limits.horizon_ms
        affordable = limits.looks_max // max(1, len(federation.live_runs) + len(asked))
        self._steps_max = min(limits.steps_max, max(_STEPS_MIN, affordable))
        self._left = set(asked)
        self._returning: dict[RunId, WaitingJob] = {}
        self._events: list[tuple[int, RunId]] = []
        self._last_run = RunId(max(federation.live_runs, default=0))
        self._end_ms: dict[RunId, int] = {}
        self._predicted: set[RunId] = set()
        self._ended = self._ended_as_predicted = 0
        self._now_ms = self._begin_ms = snapshot.now_ms
        self.starts: dict[JobId, tuple[int, int, int]] = {}
        self.steps = 0
        self.settled = False  #: nothing ends any more
        self.until_ms = self._begin_ms  #: how far it has come
        for run in list(federation.live_runs.values()):
            self._know(run)

    @property
    def endless(self) -> int:
        """How many runs end at no known time."""
        return sum(run not in self._end_ms for run in self._federation.live_runs)

    def run(self) -> None:
        """From instant to instant, until all have started, nothing happens any more, or a limit is reached."""
        while self._left and self.steps < self._steps_max:
            self.steps += 1
            self._federation.lend(self._now_ms)
            plan = decide(self._federation.snapshot(), 0)
            self._apply(plan)
            self.until_ms = self._now_ms
            if _asks_for_another(plan):
                self._happen(self._now_ms)
                continue
            next_ms = self._next_ms()
            if next_ms is None:
                self.settled = True
                return
            if next_ms > self._begin_ms + self._horizon_ms:
                self.until_ms = self._begin_ms + self._horizon_ms
                return
            self._happen(max(self._now_ms, self._stretch_end_ms(next_ms)))

    def _next_ms(self) -> int | None:
        """When something happens next: a run ends or has had its minimum run time, a site lends otherwise or is asked again."""
        next_ms = min(self._events[0][0] if self._events else NEVER_MS, *self._clock_ms)
        return None if next_ms >= NEVER_MS else next_ms

    @property
    def _clock_ms(self) -> tuple[int, int]:
        """When the clock alone changes something."""
        return self._federation.lending_changes_ms, self._federation.asks_ms

    def _stretch_end_ms(self, next_ms: int) -> int:
        """Until when things are taken together: equal ratios of distances, so that the steps left reach the horizon."""
        left = self._steps_max - self.steps
        if self.steps < self._steps_max // 2 or not left:
            return next_ms
        ahead_ms = max(next_ms - self._begin_ms, _MINUTE_MS)
        ratio = max(1.0, self._horizon_ms / ahead_ms) ** (1 / left)
        return max(next_ms, self._begin_ms + min(int(ahead_ms * ratio), self._horizon_ms))

    def _know(self, run: LiveRun) -> None:
        """A run that was live at the beginning."""
        if run.leaving:
            end_ms = self._now_ms + run.grace_ms if run.expected_end_ms is None else run.expected_end_ms
            self._federation.put_run(replace(run, expected_end_ms=end_ms))
            self._will_end(run.id, end_ms)
            if run.returns_as is not None:
                self._returning[run.id] = run.returns_as
            return
        self._look_out_for(run)

    def _look_out_for(self, run: LiveRun) -> None:
        end_ms = run.likely_end_ms(self._now_ms)
        if end_ms is not None:
            self._will_end(run.id, end_ms)
            if end_ms != run.expected_end_ms:
                self._predicted.add(run.id)
        old_ms = run.started_ms + self._minimum_run_ms
        if run.preemptible and old_ms > self._now_ms:
            heapq.heappush(self._events, (old_ms, run.id))

    def _will_end(self, run: RunId, at_ms: int) -> None:
        self._end_ms[run] = at_ms
        heapq.heappush(self._events, (at_ms, run))

    def _happen(self, by_ms: int) -> None:
        """Everything that is due by an instant; it is then as late as the last of it."""
        live = self._federation.live_runs
        for at_ms in self._clock_ms:
            if at_ms <= by_ms:
                self._now_ms = max(self._now_ms, at_ms)
        while self._events and self._events[0][0] <= by_ms:
            at_ms, number = heapq.heappop(self._events)
            self._now_ms = max(self._now_ms, at_ms)
            run = live.get(number)
            if run is not None and self._end_ms.get(number, NEVER_MS) <= at_ms:
                self._end(run)

    def _end(self, run: LiveRun) -> None:
        job = self._returning.pop(run.id, None)
        if job is None or run.checkpoints:
            self._federation.end_run(run.id, self._now_ms)
        else:  # what it did is lost, and no use of its group's
            self._federation.drop_run(run.id)
        self._ended += 1
        self._ended_as_predicted += run.id in self._predicted
        if job is None:
            self._federation.drop_waiting(run.job)  # where it was to be moved
            return
        self._jobs[job.id] = job
        if not self._federation.is_earmarked(job.id):
            self._federation.put_waiting([job])

    def _apply(self, plan: Plan) -> None:
        """What the committing side does with a plan."""
        for job_id in plan.withdrawn:
            if any(run.job == job_id for run in self._federation.live_runs.values()):  # it was to be moved
                self._federation.drop_waiting(job_id)
            else:
                self._federation.put_waiting([self._jobs[job_id]])
        self._jobs |= jobs_moved(plan, self._federation.live_runs)
        for earmark in chain(plan.earmarks, plan.moves, plan.sizes):
            self._hold(earmark)
        for stop in plan.stops:
            self._stop(stop)
        for start in chain(plan.redeemed, plan.starts):
            self._start(start)

    def _hold(self, earmark: Earmark) -> None:
        self._federation.put_earmark(
            Earmarked(
                job=self._jobs[earmark.job],
                site=earmark.site,
                gpu_class=earmark.gpu_class,
                gang=_nodes_of(earmark),
            )
        )

    def _stop(self, stop: Stop) -> None:
        run = self._federation.live_runs[stop.run]
        gone_ms = self._now_ms + stop.grace_ms
        if self._end_ms.get(run.id, NEVER_MS) <= gone_ms:
            gone_ms = self._end_ms[run.id]  # it is done before
        elif run.returns_as is not None:
            self._returning[run.id] = run.returns_as
        self._federation.put_run(replace(run, leaving=True, expected_end_ms=gone_ms))
        self._will_end(run.id, gone_ms)

    def _start(self, start: Start) -> None:
        job, shape = self._jobs[start.job], self._shapes[start.shape]
        self._last_run = RunId(self._last_run + 1)
        run = LiveRun(
            id=self._last_run,
            job=start.job,
            group=start.group,
            site=start.site,
            gpu_class=start.gpu_class,
            gpus_per_worker=shape.gpus_per_worker,
            cpus_per_worker=shape.cpus_per_worker,
            memory_mib_per_worker=shape.memory_mib_per_worker,
            gang=_nodes_of(start),
            started_ms=self._now_ms,
            preemptible=shape.preemptible,
            priority=job.priority,
            expected_end_ms=None if job.walltime_ms is None else self._now_ms + job.walltime_ms,
            returns_as=replace(job, refusals=()),
            predicted_ms=self._left_on(job, start.gpu_class),
        )
        self._federation.drop_waiting(job.id)
        self._federation.put_run(run)
        self._look_out_for(run)
        if job.id in self._left:
            self._left.discard(job.id)
            self.starts[job.id] = (self._now_ms, self._ended, self._ended_as_predicted)


def _asks_for_another(plan: Plan) -> bool:
    """Whether the next round may find something to do at the same instant: nodes that are held and can be had at once, where
    quota alone was in the way, or turns that starts have changed since nodes were reserved."""
    return bool(plan.earmarks or plan.withdrawn or (plan.reservations and len(plan.starts)))


def _nodes_of(placed: Start | Earmark) -> tuple[tuple[NodeId, int], ...]:
    return tuple([(node, workers) for node, _, _, workers in placed.gang])
