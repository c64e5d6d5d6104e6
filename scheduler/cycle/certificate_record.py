"""The certificate of what happened: no schedule would have completed the jobs that the record tells of much sooner.

A record is not a case of ``certificate``: capacity changed, jobs ran when the window began, some were cancelled, some ran
where others like them did not. Whatever is not known is taken from the side on which the bound stays true.

* **Jobs** are those that succeeded in the window. All others (live, failed, cancelled, ended before) only took GPUs that
  these could have had: whoever schedules these alone can do what any schedule of all did to these.
* **Release** is the submission, though many a job could not start then: it was held, waited for another, or for a retry.
* **Duration.** Two things are taken for granted: a job's work takes as long on a class of GPUs as it took there, and to go on
  from a saved state takes no longer than to begin anew. So a job needs at least as long as its last run took. Where that
  went on from a saved state, it also needs at least as long as the run that had begun anew before had had when it was told
  to go, which was no earlier than its grace before its end.
* **Classes.** How long a job takes on a class on which it did not run is not known. Jobs that might have run on another
  class that there was are left out, as are those of no length, and elastic ones, of which nobody knows how long they take with
  another number of workers; ``left_out`` counts them, and the mean is without them.
* **Capacity** is every GPU of a node that a site reported then and may have lent (``certificate_lent``), whether it was
  healthy, open or heard, and all sites of a class are one pool without nodes, domains, quotas, data classes: each of these only
  takes away. Where the runs of the jobs held more (the clocks of sites are not ours) they count. After the last of what is
  known there are as many GPUs as all jobs want at once: nobody knows what a schedule that took longer would have found.

**Proof.** Let S be any schedule on the classes of GPUs that the federation had. Leave out all but the jobs counted, and move
nothing: each of these is released no sooner than here, runs on the one class that there was for it for at least its
duration, and its class holds at every moment no more than its capacity. So S is a schedule of the case below, by class,
whose means ``certify`` bounds by proof; and the mean over all jobs is the mean of these means by their jobs. What happened is
such an S, so that the bound is never above what happened.  ∎
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from scheduler.cycle.certificate import certify
from scheduler.cycle.certificate_case import CertifiedJobs, PoolCapacity
from scheduler.model.ids import SiteId

_MS = 1000
#: Down by far more than the few operations with it can add.
_ROUNDED_DOWN = 1.0 - 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class PastJob:
    """A job that succeeded. ``gpu_classes`` are those that it might have run on, any where there are none.

    ``gpu_class``, ``started_ms`` and ``worked_until_ms`` are of that run of it which tells most of what it needs: until its
    end if the job succeeded with it, else until it had its grace left.
    """

    submitted_ms: int
    completed_ms: int
    gpus: int
    gpu_classes: tuple[str, ...]
    gpu_class: str
    started_ms: int
    worked_until_ms: int

    @property
    def needed_ms(self) -> int:
        """It takes at least so long on its class."""
        return self.worked_until_ms - self.started_ms

    @property
    def released_ms(self) -> int:
        """Nobody could have started it before, by whatever clock."""
        return min(self.submitted_ms, self.started_ms)

    @property
    def completion_ms(self) -> int:
        """From its release to its completion."""
        return max(self.completed_ms, self.worked_until_ms) - self.released_ms


class ReportedGpus(NamedTuple):
    """So many GPUs of a class stood at a site from a moment on, until its next row; ``node_gpus`` in its largest node."""

    site: SiteId
    gpu_class: str
    at_ms: int
    gpus: int
    node_gpus: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRecord:
    """What became of the jobs of one class, and what any schedule would have needed at the least; means, in seconds."""

    gpu_class: str
    jobs: int
    mean_completion_seconds: float
    mean_completion_lower_bound_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCertificate:
    """Classes by name, and how many jobs succeeded besides, of which nothing could be said."""

    classes: tuple[ClassRecord, ...]
    left_out: int

    @property
    def jobs(self) -> int:
        """Jobs that count."""
        return sum(each.jobs for each in self.classes)

    @property
    def mean_completion_seconds(self) -> float:
        """What it took from submission to success, on average."""
        return sum(each.jobs * each.mean_completion_seconds for each in self.classes) / self.jobs

    @property
    def mean_completion_lower_bound_seconds(self) -> float:
        """What it would have taken at the least in any schedule, on average."""
        total = sum(each.jobs * each.mean_completion_lower_bound_seconds for each in self.classes)
        return total / self.jobs * _ROUNDED_DOWN


def certify_record(
    jobs: Collection[PastJob], reported: Sequence[ReportedGpus], *, iterations: int = 24, bins: int = 256
) -> RecordCertificate | None:
    """Certify what happened to ``jobs`` while sites lent these GPUs; None where not one of the jobs counts.

    ``reported`` has to reach back to the first release. More iterations and bins give a tighter bound.
    """
    there_were = {each.gpu_class for each in reported if each.gpus > 0}
    by_class: defaultdict[str, list[PastJob]] = defaultdict(list)
    for job in jobs:
        if job.needed_ms > 0 and _might_run_on(job, there_were) == {job.gpu_class}:
            by_class[job.gpu_class].append(job)
    if not by_class:
        return None
    classes = tuple(
        _certify_class(mine, [each for each in reported if each.gpu_class == name], name, iterations, bins)
        for name, mine in sorted(by_class.items())
    )
    return RecordCertificate(classes=classes, left_out=len(jobs) - sum(each.jobs for each in classes))


def _might_run_on(job: PastJob, there_were: set[str]) -> set[str]:
    """Classes that a schedule could have given it."""
    return (there_were & set(job.gpu_classes) if job.gpu_classes else there_were) | {job.gpu_class}


def _certify_class(
    jobs: Sequence[PastJob], reported: Iterable[ReportedGpus], gpu_class: str, iterations: int, bins: int
) -> ClassRecord:
    # In milliseconds throughout, which doubles hold exactly: a bound does not ask how long a second is.
    certified = CertifiedJobs(
        release_seconds=np.array([job.released_ms for job in jobs], dtype=np.float64),
        duration_seconds=np.array([job.needed_ms for job in jobs], dtype=np.float64),
        gpus=np.array([job.gpus for job in jobs], dtype=np.int64),
    )
    found = certify(certified, [_capacity_by_ms(jobs, reported)], iterations=iterations, bins=bins)
    return ClassRecord(
        gpu_class=gpu_class,
        jobs=len(jobs),
        mean_completion_seconds=float(Fraction(sum(job.completion_ms for job in jobs), len(jobs) * _MS)),
        mean_completion_lower_bound_seconds=found.mean_completion_lower_bound_seconds / _MS * _ROUNDED_DOWN,
    )


def _capacity_by_ms(jobs: Sequence[PastJob], reported: Iterable[ReportedGpus]) -> PoolCapacity:
    """Return what there was of a class at each moment, at the most."""
    changes: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])
    before: defaultdict[SiteId, int] = defaultdict(int)
    for each in sorted(reported, key=lambda each: each.at_ms):
        changes[each.at_ms][0] += each.gpus - before[each.site]
        before[each.site] = each.gpus
    for job in jobs:
        changes[job.started_ms][1] += job.gpus
        changes[job.worked_until_ms][1] -= job.gpus
    starts, gpus = list[int](), list[int]()
    there = held = 0
    for at_ms, (arrived, taken) in sorted(changes.items()):
        there, held = there + arrived, held + taken
        if not gpus or max(there, held) != gpus[-1]:
            starts.append(at_ms)
            gpus.append(max(there, held))
    return PoolCapacity(
        np.array([*starts, max(changes) + 1], dtype=np.float64),
        np.array([*gpus, max(*gpus, sum(job.gpus for job in jobs))], dtype=np.int64),
    )
