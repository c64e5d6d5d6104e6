"""Tiny records of what happened to some jobs, with all that may have been the case: cancelled ones, capacity that came and
went, runs that were ended and went on elsewhere, sites that would not serve everybody."""

from __future__ import annotations

from dataclasses import dataclass, replace

from certificate_cases import TinyCase, tiny_cases
from hypothesis import strategies as st

from scheduler.cycle.certificate_record import PastJob, ReportedGpus
from scheduler.model.ids import SiteId

SECOND_MS = 1000


@dataclass(frozen=True, slots=True)
class TinyPast:
    """``case`` is what there was to schedule, ``jobs`` what became of those that succeeded (None: cancelled), and
    ``classes`` the GPU class of each of its pools, which are sites."""

    case: TinyCase
    classes: tuple[str, ...]
    jobs: tuple[PastJob | None, ...]

    def reported(self) -> list[ReportedGpus]:
        """What the sites reported."""
        return [
            ReportedGpus(SiteId(pool), self.classes[pool], begin * SECOND_MS, gpus, gpus)
            for pool, steps in enumerate(self.case.steps)
            for begin, gpus in steps
        ]

    def counted(self) -> tuple[int, ...]:
        """Jobs that succeeded on the one class that there was for them."""
        return tuple(
            number
            for number, (job, row) in enumerate(zip(self.jobs, self.case.durations, strict=True))
            if job is not None and len({self.classes[pool] for pool, each in enumerate(row) if each is not None}) == 1
        )

    def of(self, numbers: tuple[int, ...]) -> TinyCase:
        """What there was to schedule, of some jobs alone."""
        case = self.case
        release, gpus = (tuple(column[each] for each in numbers) for column in (case.release, case.gpus))
        return replace(case, release=release, gpus=gpus, durations=tuple(case.durations[each] for each in numbers))


@st.composite
def tiny_pasts(draw: st.DrawFn) -> TinyPast:
    """What some scheduler did, good or bad."""
    case = draw(tiny_cases())
    classes = draw(st.sampled_from((("h100",) * len(case.steps), ("h100", "a100")[: len(case.steps)])))
    if len(set(classes)) == 1:
        alike = tuple(tuple(each and max(filter(None, row)) for each in row) for row in case.durations)
        case = replace(case, durations=alike)
    held: dict[tuple[int, int], int] = {}
    order = draw(st.permutations(range(len(case.gpus))))
    jobs = {number: _happened(draw, case, classes, held, number) for number in order}
    return TinyPast(case, classes, tuple(jobs[number] for number in range(len(case.gpus))))


def _happened(
    draw: st.DrawFn, case: TinyCase, classes: tuple[str, ...], held: dict[tuple[int, int], int], number: int
) -> PastJob | None:
    """Have a job run as soon as what ran before leaves it room; some are ended once, and go on after a reload."""
    pool = draw(st.sampled_from([each for each, seconds in enumerate(case.durations[number]) if seconds is not None]))
    seconds = case.durations[number][pool]
    assert seconds is not None
    first = draw(st.integers(1, seconds))
    start = _run(case, held, number, pool, case.release[number] + draw(st.integers(0, 2)), first)
    end = worked_until = start + first
    if first < seconds:
        rest = seconds - first + draw(st.integers(0, first))
        again = _run(case, held, number, pool, end, rest)
        end = again + rest
        if rest > first:
            start, worked_until = again, end
    if draw(st.integers(0, 3)) == 0:
        return None
    return PastJob(
        submitted_ms=case.release[number] * SECOND_MS,
        completed_ms=end * SECOND_MS,
        gpus=case.gpus[number],
        gpu_classes=tuple({name for name, each in zip(classes, case.durations[number], strict=True) if each}),
        gpu_class=classes[pool],
        started_ms=start * SECOND_MS,
        worked_until_ms=worked_until * SECOND_MS,
    )


def _run(case: TinyCase, held: dict[tuple[int, int], int], number: int, pool: int, start: int, seconds: int) -> int:
    """Hold GPUs of a pool for so long from the first second on from which there are enough; answer that second."""
    gpus = case.gpus[number]

    def fits(at: int) -> bool:
        return held.get((pool, at), 0) + gpus <= case.capacity(pool, at)

    while not all(fits(start + each) for each in range(seconds)):
        start += 1
    for each in range(seconds):
        held[pool, start + each] = held.get((pool, start + each), 0) + gpus
    return start
