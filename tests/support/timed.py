"""Full federations whose runs and jobs have walltimes, all of them on a coarse grid of time; and a slow way through time."""

from __future__ import annotations

from dataclasses import dataclass, replace

from federations import run_of
from hypothesis import strategies as st
from pressed import GPU_CLASS, NOW_MS, Pressed, federation_of, pressed

from scheduler.cycle.decide import decide
from scheduler.cycle.facts import Earmarked, LiveRun, WaitingJob
from scheduler.cycle.federation import Federation
from scheduler.cycle.forecast import LeftOn, left_on_any
from scheduler.cycle.move import jobs_moved
from scheduler.cycle.plan import Plan
from scheduler.model.ids import JobId, NodeId, RunId, ShapeId, SiteId
from scheduler.model.site_refusal import SiteRefusal

#: Everything ends, starts and grows old at multiples of this from now.
TICK_MS = 10_000
SLOW_CLASS = "a100"
_REFUSALS = st.sampled_from((0, 0, 1, 3)).map(
    lambda ticks: (SiteRefusal(site=SiteId(1), times=1, until_ms=NOW_MS + ticks * TICK_MS),) if ticks else ()
)
_PREDICTED = st.none() | st.integers(1, 8).map(lambda ticks: ticks * TICK_MS)


@st.composite
def timed(draw: st.DrawFn, *, endless: bool = True) -> Pressed:
    """A full federation. Without ``endless`` every run and job has a walltime. Of some there is a prediction."""
    given = draw(pressed())
    walltime = st.integers(1, 6).map(lambda ticks: ticks * 2 * TICK_MS)
    if endless:
        walltime = st.one_of(walltime, walltime, walltime, st.none())
    jobs = tuple(
        replace(job, walltime_ms=draw(walltime), expected_ms=draw(_PREDICTED), refusals=draw(_REFUSALS))
        for job in given.jobs
    )
    return replace(given, runs=tuple(_timed_run(draw, given, run, draw(walltime)) for run in given.runs), jobs=jobs)


@st.composite
def timed_on_two(draw: st.DrawFn) -> Pressed:
    """The same with as many nodes of a slow class beside them, which shapes name before the other, behind it, or not."""
    given = draw(timed())
    beside = tuple(
        replace(each, id=NodeId(100 + each.id), name=f"slow-{each.id}", gpu_class=SLOW_CLASS) for each in given.nodes
    )
    named = st.sampled_from(((), (GPU_CLASS,), (GPU_CLASS, SLOW_CLASS), (SLOW_CLASS, GPU_CLASS)))
    shapes = {number: replace(each, gpu_classes=draw(named)) for number, each in given.shapes.items()}
    return replace(given, nodes=given.nodes + beside, shapes=shapes)


def left_by_class(job: WaitingJob, gpu_class: str) -> int | None:
    """A job takes three times as long on the slow class."""
    return None if job.expected_ms is None else job.expected_ms * (3 if gpu_class == SLOW_CLASS else 1)


def _timed_run(draw: st.DrawFn, given: Pressed, run: LiveRun, left_ms: int | None) -> LiveRun:
    workers = sum(workers for _, workers in run.gang)
    shape = next(
        number
        for number, each in given.shapes.items()
        if (each.gpus_per_worker, each.workers, each.preemptible) == (run.gpus_per_worker, workers, run.preemptible)
    )
    started_ms = NOW_MS - (NOW_MS - run.started_ms) // TICK_MS * TICK_MS
    again = WaitingJob(
        id=run.job,
        group=run.group,
        shape=shape,
        priority=run.priority,
        submitted_ms=-1,
        walltime_ms=None if left_ms is None else NOW_MS + left_ms - started_ms,
        expected_ms=draw(_PREDICTED),
    )
    run = replace(run, predicted_ms=draw(_PREDICTED), served_ms=draw(st.integers(0, 2)) * TICK_MS)
    end_ms = None if left_ms is None else NOW_MS + left_ms
    if draw(st.sampled_from((False, False, False, True))):
        gone_ms = NOW_MS + run.grace_ms
        done = end_ms is not None and end_ms <= gone_ms
        return replace(
            run,
            started_ms=started_ms,
            leaving=True,
            expected_end_ms=end_ms if done else gone_ms,
            returns_as=None if done else again,
        )
    return replace(run, started_ms=started_ms, expected_end_ms=end_ms, returns_as=again)


@dataclass
class _Going:
    """A run: when it is gone, and the job that then waits again."""

    end_ms: int | None
    job: WaitingJob
    returns: WaitingJob | None = None


class Replay:
    """Every tick is looked at, whether anything happens or not, and every tick has as many rounds as change anything."""

    def __init__(self, given: Pressed, left_on: LeftOn = left_on_any) -> None:
        self._left_on = left_on
        self.starts: dict[JobId, int] = {}
        self._given = given
        self._federation: Federation = federation_of(given)
        self._jobs = {job.id: job for job in given.jobs}
        self._runs: dict[RunId, _Going] = {}
        for run in given.runs:
            job = run.returns_as or WaitingJob(
                id=run.job, group=run.group, shape=ShapeId(1), priority=0, submitted_ms=-1
            )
            self._runs[run.id] = _Going(run.likely_end_ms(NOW_MS), job, run.returns_as if run.leaving else None)
            self._jobs.setdefault(job.id, job)
        self._started = 0

    def go(self, until_ms: int) -> None:
        """From now to ``until_ms``, both looked at."""
        for now_ms in range(NOW_MS, until_ms + 1, TICK_MS):
            if now_ms > NOW_MS:
                self._end_what_is_over(now_ms)
            while self._round(now_ms) | self._end_what_is_over(now_ms):
                pass

    def _end_what_is_over(self, now_ms: int) -> bool:
        over = False
        for run, going in list(self._runs.items()):
            if going.end_ms is not None and going.end_ms <= now_ms:
                over = True
                del self._runs[run]
                if going.returns is None or self._federation.live_runs[run].checkpoints:
                    self._federation.end_run(run, going.end_ms)
                else:
                    self._federation.drop_run(run)
                if going.returns is None:
                    self._federation.drop_waiting(going.job.id)
                elif not self._federation.is_earmarked(going.job.id):
                    self._federation.put_waiting([going.returns])
        return over

    def _round(self, now_ms: int) -> bool:
        self._federation.lend(now_ms)
        plan = decide(self._federation.snapshot(), 0)
        for job in plan.withdrawn:
            if any(run.job == job for run in self._federation.live_runs.values()):
                self._federation.drop_waiting(job)
            else:
                self._federation.put_waiting([self._jobs[job]])
        self._jobs |= jobs_moved(plan, self._federation.live_runs)
        for earmark in [*plan.earmarks, *plan.moves, *plan.sizes]:
            gang = tuple((node, workers) for node, _, _, workers in earmark.gang)
            held = Earmarked(job=self._jobs[earmark.job], site=SiteId(1), gpu_class=earmark.gpu_class, gang=gang)
            self._federation.put_earmark(held)
        for stop in plan.stops:
            going, gone_ms = self._runs[stop.run], now_ms + stop.grace_ms
            if going.end_ms is None or going.end_ms > gone_ms:
                going.end_ms, going.returns = gone_ms, going.job
            run = self._federation.live_runs[stop.run]
            self._federation.put_run(replace(run, leaving=True, expected_end_ms=going.end_ms))
        self._start(plan, now_ms)
        return bool(plan.withdrawn or plan.earmarks or plan.stops or plan.redeemed or len(plan.starts))

    def _start(self, plan: Plan, now_ms: int) -> None:
        for start in [*plan.redeemed, *plan.starts]:
            self._started += 1
            job, shape = self._jobs[start.job], self._given.shapes[start.shape]
            gang = tuple((node, workers) for node, _, _, workers in start.gang)
            run = run_of(10_000 + self._started, job.id, job.group, shape, SiteId(1), start.gpu_class, gang)
            self._federation.drop_waiting(job.id)
            end_ms = None if job.walltime_ms is None else now_ms + job.walltime_ms
            self._federation.put_run(
                replace(
                    run,
                    started_ms=now_ms,
                    preemptible=shape.preemptible,
                    priority=job.priority,
                    expected_end_ms=end_ms,
                )
            )
            left_ms = self._left_on(job, start.gpu_class)
            lasts = [each for each in (job.walltime_ms, left_ms) if each is not None]
            self._runs[run.id] = _Going(now_ms + min(lasts) if lasts else None, replace(job, refusals=()))
            self.starts.setdefault(job.id, now_ms)
