"""What each template sees: one frozen dataclass a template, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What surrounds every page. ``here`` is the page's own address with its query; ``path`` without."""

    language: str
    person: str | None
    form_value: str
    path: str
    here: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A time: for machines, and its two halves for people."""

    iso: str
    day: str
    time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInPage:
    """``sign_in.html``."""

    frame: Frame
    next: str
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLine:
    """A job in a list."""

    id: int
    name: str
    group: str
    state: str
    gpus: str
    site: str
    submitted: Moment | None
    elapsed: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsPage:
    """``jobs.html``. ``following`` is the address of the next page; ``array`` is the one whose jobs are shown, if any."""

    frame: Frame
    jobs: Sequence[JobLine]
    everybody: bool
    ended: bool
    array: int | None
    following: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineLine:
    """Something that happened to a job."""

    at: Moment | None
    what: str
    actor: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteLine:
    """What one site says of a waiting job."""

    site: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLine:
    """One attempt. ``log`` is the address of its first worker's log."""

    epoch: int
    site: str
    gpu_class: str
    phase: str
    nodes: str
    started: Moment | None
    ended: Moment | None
    cause: str | None
    category: str | None
    log: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateLine:
    """When a waiting job would start, and on what grounds; without a time why nothing is known."""

    start: Moment | None
    text: str
    late: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlineLine:
    """By when a job has to be over, and to start."""

    over: Moment | None
    start: Moment | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayLine:
    """Of which array a job is a task. ``running_max`` None: all of it may run at once."""

    id: int
    task: int
    tasks: int
    running_max: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassTimeLine:
    """How long a waiting job would run on one of several GPU classes, and on what grounds."""

    gpu_class: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """``job_status.html``: the part of a job's page that is live. ``older`` is the address of what happened before."""

    job: JobLine
    is_live: bool
    array: ArrayLine | None
    deadline: DeadlineLine | None
    counterfactual: str | None
    alternatives: Sequence[str]
    estimate: EstimateLine | None
    run_time: str
    by_class: Sequence[ClassTimeLine]
    sites: Sequence[SiteLine]
    runs: Sequence[RunLine]
    timeline: Sequence[TimelineLine]
    older: str | None
    actions: Sequence[str]
    gpu_seconds: str
    form_value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPage:
    """``job.html``. The log is shown from its byte ``left_out`` on; ``live`` is the address of what comes after."""

    frame: Frame
    status: JobStatus
    rank: int
    workers: int
    log: str
    left_out: int
    download: str
    live: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelinePage:
    """``timeline.html``: what happened to a job, newest first."""

    frame: Frame
    job: int
    name: str
    timeline: Sequence[TimelineLine]
    older: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmPage:
    """``confirm.html``: asks once more before something is done to a job."""

    frame: Frame
    job: JobLine
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockTicks:
    """``job_ticks.html``: what of a job's page grows with time alone."""

    elapsed: str
    gpu_seconds: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveEnd:
    """``job_refused.html``: why a page is live no more. ``sign_in`` is where to come back."""

    text: str
    sign_in: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLine:
    """GPUs of one class at one site; a site without nodes has one line without a class. ``hours_saved`` is its shadow price,
    ``–`` where there is none; ``has_page`` says that the reader may see more of the site."""

    site: str
    has_page: bool
    state: str
    gpu_class: str | None
    total: int
    free: int
    free_for_me: int
    hours_saved: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SitesPage:
    """``sites.html``. ``report`` is the certificate's sentence, ``made`` when it was made, and ``no_prices`` why there are no
    shadow prices, where there are none."""

    frame: Frame
    pools: Sequence[PoolLine]
    report: str
    made: Moment | None
    no_prices: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferLine:
    """What a site lends. ``hours`` is empty for always, ``serves`` for everybody."""

    id: int
    gpu_class: str
    nodes: int
    is_open: bool
    changes: Moment | None
    closes: Moment | None
    notice: str
    rate: str
    hours: str
    serves: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenLine:
    """Nodes under a ``recall``, set aside for ``maintenance``, or kept for a group by a ``reservation``."""

    kind: str
    id: int
    nodes: str
    begins: Moment | None
    ends: Moment | None
    group: str | None
    why: str
    runs_left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRunLine:
    """What runs at a site: size, group and times, and nothing of what it is."""

    group: str
    gpus: str
    nodes: str
    phase: str
    started: Moment | None
    elapsed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwedLine:
    """What a site's owner is owed for one GPU class."""

    gpu_class: str
    gpu_hours: str
    credits: str
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockLine:
    """How many nodes of each leaf take work at a time, of a GPU class, and which nodes are spares now."""

    gpu_class: str
    nodes: int
    spares: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SitePage:
    """``site.html``."""

    frame: Frame
    name: str
    state: str
    offers: Sequence[OfferLine]
    taken: Sequence[TakenLine]
    blocks: Sequence[BlockLine]
    runs: Sequence[SiteRunLine]
    has_more_runs: bool
    owed: Sequence[OwedLine]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaLine:
    """One GPU class of a group."""

    gpu_class: str
    guaranteed: int
    effective: int
    limit: str
    used: int
    borrowed: int
    fair_share: int
    queued: int
    past_use: str
    standing: str
    cells: str  #: as the command line writes them, and how many of them can be held; empty for none
    used_percent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSection:
    """A group with its quotas."""

    path: str
    example: bool
    order: str
    quotas: Sequence[QuotaLine]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupsPage:
    """``groups.html``."""

    frame: Frame
    groups: Sequence[GroupSection]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorPage:
    """``error.html``. ``trace_id`` is for the operators, where they can do something about it."""

    frame: Frame
    status: int
    title: str
    text: str
    trace_id: str | None
