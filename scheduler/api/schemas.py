"""The JSON documents of ``/api/v1`` as published. Stable: fields are added, never changed or removed."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from quota.tree import Quota
from scheduler.api.array_schemas import ArrayTaskOut, SubmittedArrayOut
from scheduler.api.cell_documents import CellsInList, CellsOut, cells_of
from scheduler.model.job_spec import GROUP_PATH_PATTERN
from scheduler.model.run_time import SPEED_MAX, SPEED_MIN

SLUG_PATTERN = r"^[a-z0-9][a-z0-9-]{0,62}$"
PERSON_PATTERN = r"^[^\x00-\x1f\x7f/\s][^\x00-\x1f\x7f/]{0,127}$"
WHY_PATTERN = r"^[^\x00]*$"
LABEL_PATTERN = r"^[^\x00-\x1f\x7f]+$"
TRUST_DOMAIN_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
Slug = Annotated[str, Field(pattern=SLUG_PATTERN)]
PersonName = Annotated[str, Field(pattern=PERSON_PATTERN, max_length=128)]
GroupPath = Annotated[str, Field(pattern=GROUP_PATH_PATTERN, max_length=400)]
Why = Annotated[str, Field(max_length=500, pattern=WHY_PATTERN)]
TimeText = Annotated[str, Field(examples=["2026-11-24T03:00:00.000Z"])]
Amount = Annotated[int, Field(ge=0, le=10_000_000)]
OutputBytes = Annotated[int, Field(ge=0, le=2**40)]
DatabaseId = Annotated[int, Field(ge=1, le=2**53)]


class Input(BaseModel):
    """Base of request bodies: unknown fields are refused by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ReasonOut(BaseModel):
    """A code, its numbers, and its sentence in both languages."""

    code: str
    numbers: dict[str, Any]
    text: str
    text_ko: str


class EtaOut(BaseModel):
    """An estimate of a waiting job's start. ``reason`` is its basis, or why nothing is known and ``start_at`` null. ``late``
    warns of a start that is too late for the job's deadline."""

    start_at: TimeText | None
    reason: ReasonOut
    made_at: TimeText
    late: ReasonOut | None = None


class JobOut(BaseModel):
    """A job as lists show it. ``gpus`` and ``workers`` are those of its newest run; of a job that waits, what it starts with at
    the least. It has ``workers_max`` at the most."""

    id: int
    name: str
    group: str
    person: str
    state: str
    gpus: int
    workers: int
    workers_max: int
    gpus_per_worker: int
    gpu_classes: list[str]
    gpu_class: str | None
    site: str | None
    priority_class: str
    data_class: str
    preemptible: bool
    submitted_at: TimeText
    started_at: TimeText | None
    ended_at: TimeText | None
    elapsed_seconds: float | None
    epoch: int
    exit_code: int | None
    reason: ReasonOut | None
    has_outputs: bool
    eta: EtaOut | None = None
    array: ArrayTaskOut | None = None
    deadline: TimeText | None = None
    start_by: TimeText | None = None


class RunOut(BaseModel):
    """One attempt of a job."""

    id: int
    epoch: int
    site: str
    gpu_class: str
    gpus: int
    workers: int
    nodes: list[str]
    phase: str
    leased_at: TimeText
    started_at: TimeText | None
    ended_at: TimeText | None
    exit_code: int | None
    cause: str | None
    message: str
    category: str | None = None


class RetryOut(BaseModel):
    """How many runs of a category have failed, and after how many there is another one. ``infrastructure`` counts in a row."""

    category: str
    failed: int
    retries: int


class RunTimeOut(BaseModel):
    """How long a job runs in all, as far as anybody can tell: by the `person`'s or the `group`'s last like jobs, or those of
    its `size`, or its `walltime`; null where it is `unknown`. It ends nothing. Like jobs tell of `gpu_class`, null where that may
    be any, as they were `measured` on it, by the speeds that its file `declared`, by administrators' `general` speeds, or as they
    ran on `all` classes together."""

    seconds: float | None
    basis: Literal["person", "group", "size", "walltime", "unknown"]
    text: str
    text_ko: str
    gpu_class: str | None = None
    class_basis: Literal["measured", "declared", "general", "all"] | None = None


class JobDetailOut(JobOut):
    """A job with its file, its runs, and what is left of its retries. ``run_times``: of one that waits, how long it would run on
    each GPU class that it may start on, where these are several."""

    run_time: RunTimeOut
    run_times: list[RunTimeOut] = []

    spec: dict[str, Any]
    runs: list[RunOut]
    gpu_seconds: float
    bound_site: str | None
    retries: list[RetryOut] = []


class Page(BaseModel):
    """Base of lists: ``next_cursor`` continues where this page ends; null at the end."""

    next_cursor: str | None = None


class JobStateIn(StrEnum):
    """A state to filter by; ``live`` stands for all that are no end."""

    LIVE = "live"
    QUEUED = "queued"
    HELD = "held"
    LEASED = "leased"
    STARTING = "starting"
    RUNNING = "running"
    PREEMPTING = "preempting"
    CANCELLING = "cancelling"
    UNREACHABLE = "unreachable"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ContentOut(BaseModel):
    """A stored content."""

    digest: str
    bytes: int


class JobPage(Page):
    """Jobs, newest first."""

    items: list[JobOut]


class SubmittedOut(BaseModel):
    """A job that was queued, or an array of them: then ``id`` is the array's, which no job has."""

    id: int
    name: str
    group: str
    state: str
    gpus: int
    submitted_at: TimeText
    array: SubmittedArrayOut | None = None


BATCH_JOBS_MAX = 5000


class BatchIn(Input):
    """Many jobs at once; each is judged by itself."""

    jobs: list[dict[str, Any]] = Field(min_length=1, max_length=BATCH_JOBS_MAX)


class BatchItemOut(BaseModel):
    """The answer to one job of a batch: the job's number, of an array the array's; or the problem."""

    status: int
    job: dict[str, int] | None = None
    problem: dict[str, Any] | None = None


class BatchOut(BaseModel):
    """Answers in the order of the jobs."""

    items: list[BatchItemOut]


class NodeUseOut(BaseModel):
    """Workers on a node."""

    name: str
    workers: int


class CostOut(BaseModel):
    """What a job would cost. Amounts "max" are for its whole walltime; null without one. Of an array: all its jobs, and an
    hour of as many as may run at once. Of an elastic gang: with all its workers."""

    gpu_seconds_max: int | None
    credits_max: str | None
    credits_per_hour: str


class CounterfactualOut(BaseModel):
    """What would start the job now, all of it together: ``nodes`` more free places of ``gpus_per_node`` GPUs on ``site`` (in
    its ``domain`` hall/spine/leaf, where the job requires one), bounds of groups raised by so many GPUs, the site taking work
    again, the job being preemptible, its walltime so short. ``lent``: a site that lends by offers would have to lend it these
    places; ``term`` is what keeps it out now, ``opens_at`` when the site begins to lend more to it."""

    text: str
    text_ko: str
    site: str
    gpu_class: str
    nodes: int
    gpus_per_node: int
    raises: list[list[str | int]]
    preemptible: bool
    open_site: bool
    domain: str
    walltime_seconds: int | None
    lent: bool = False
    term: str | None = None
    opens_at: TimeText | None = None


class AlternativeOut(BaseModel):
    """With what else the job would start, by itself: ``fewer_workers``, ``other_gpu_class``, or (``opening``) not before ``at``,
    when ``site`` begins to lend more. ``gpus`` are those of all its ``workers`` then, ``gpus_asked`` those it asks for."""

    text: str
    text_ko: str
    kind: str
    site: str
    gpu_class: str
    workers: int
    gpus: int
    gpus_asked: int
    at: TimeText | None


class DryRunOut(BaseModel):
    """Whether and where a job would start now, and what it would cost."""

    would_start: bool
    site: str | None
    gpu_class: str | None
    nodes: list[NodeUseOut]
    cost: CostOut
    reasons: list[ReasonOut]
    counterfactual: CounterfactualOut | None
    alternatives: list[AlternativeOut] = []


class SiteReasonOut(BaseModel):
    """What one considered site says."""

    site: str
    reason: ReasonOut


class WhyOut(BaseModel):
    """Why a job is where it is, and how long it runs, as in ``JobDetailOut``; of one that has ended, nothing of the latter.
    ``ahead`` counts jobs of its group that rounds look at before it, and that could have GPUs of a class that it could have."""

    job: int
    state: str
    reasons: list[ReasonOut]
    sites: list[SiteReasonOut]
    counterfactual: CounterfactualOut | None
    ahead: int | None
    evaluated_at: TimeText | None
    eta: EtaOut | None = None
    run_time: RunTimeOut | None = None
    run_times: list[RunTimeOut] = []
    alternatives: list[AlternativeOut] = []


class EventOut(BaseModel):
    """Something that happened: who, what and why."""

    id: str
    at: TimeText
    kind: str
    actor: str
    why: str
    data: dict[str, Any]


class EventPage(Page):
    """Events, oldest first."""

    items: list[EventOut]


class WhyIn(Input):
    """The reason for a change, kept in the record."""

    why: Why = ""


class RequeueIn(WhyIn):
    """``start_over``: the job may begin again elsewhere, without its checkpoint."""

    start_over: bool = False


class FreeGpusOut(BaseModel):
    """GPUs of one class on one site."""

    gpu_class: str
    site: str
    state: str
    total: int
    free: int
    free_for_me: int


class GpuClassFreeOut(BaseModel):
    """GPUs of one class on all sites."""

    gpu_class: str
    total: int
    free: int
    free_for_me: int


class GpusOut(BaseModel):
    """What is free for the caller."""

    items: list[FreeGpusOut]
    by_class: list[GpuClassFreeOut]


class QuotaIn(Input):
    """A group's quota for a GPU class, as a whole. Null means no limit."""

    guaranteed: Amount = 0
    limit: Amount | None = None
    borrowing_limit: Amount | None = None
    lending_limit: Amount | None = None
    weight: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    cells: CellsInList = []
    why: Why = ""

    def quota(self) -> Quota:
        """What the use case is asked."""
        return Quota(**self.model_dump(exclude={"why", "cells"}), cells=cells_of(self.cells))


class QuotaOut(BaseModel):
    """A group's quota for a GPU class, and how it is used."""

    group: str
    gpu_class: str
    guaranteed: int
    guaranteed_effective: int
    limit: int | None
    borrowing_limit: int | None
    lending_limit: int | None
    weight: int
    cells: list[CellsOut]
    cells_effective: int  #: of all these cells, those that can be held at once with the nodes that there are
    used: int
    used_borrowed: int
    fair_share: int
    queued_gpus: int
    past_use_gpus: float  #: used on average before, recent use counting most: it orders groups that are equal otherwise
    standing_gpu_seconds: (
        int  #: lent to others less held above the fair share, decayed: it orders groups that have their share
    )
    standing_gpus: float  #: the same on average; ``lent_gpus`` less ``surged_gpus``
    lent_gpus: float
    surged_gpus: float
    lends_gpus: float  #: now, as the next
    surges_gpus: float
    etag: str | None


class QuotasOut(BaseModel):
    """All of a group's quotas."""

    group: str
    items: list[QuotaOut]


class UsageOut(BaseModel):
    """What was charged for one GPU class. ``gpu_seconds_lost`` were destroyed for others and charged to nobody."""

    gpu_class: str
    gpu_seconds: float
    gpu_seconds_lost: float
    credits: str
    runs: int


class UsagesOut(BaseModel):
    """What a group and all below it were charged."""

    group: str
    items: list[UsageOut]
    total_credits: str


class OwedOut(BaseModel):
    """What a site's owner is owed for one GPU class."""

    gpu_class: str
    gpu_seconds: float
    credits: str
    runs: int


class OwedsOut(BaseModel):
    """What a site's owner is owed: all that was used there, work that was lost to its group included."""

    site: str
    items: list[OwedOut]
    total_credits: str


class MemberIn(Input):
    """A role for a person."""

    person: PersonName
    role: Literal["viewer", "submitter", "manager", "administrator", "auditor"]
    why: Why = ""


class MemberOut(BaseModel):
    """A person's role; ``inherited`` when it was given on a group above."""

    person: str
    role: str
    group: str
    inherited: bool


class MemberPage(Page):
    """Members, by name."""

    items: list[MemberOut]


class TokenIn(Input):
    """A new token. Scopes contain one another: manage, submit, read."""

    name: Annotated[str, Field(min_length=1, max_length=128, pattern=LABEL_PATTERN)]
    person: PersonName | None = None
    scopes: list[Literal["read", "submit", "manage"]] = Field(min_length=1, max_length=3)
    expires_in_seconds: Annotated[int, Field(ge=60, le=366 * 86_400)] = 90 * 86_400
    why: Why = ""


class TokenOut(BaseModel):
    """A token without its secret."""

    id: int
    name: str
    person: str
    prefix: str
    scopes: list[str]
    created_at: TimeText
    expires_at: TimeText | None
    revoked_at: TimeText | None


class NewTokenOut(TokenOut):
    """A token with its secret, shown this once."""

    secret: str


class TokenPage(Page):
    """Tokens, newest first."""

    items: list[TokenOut]


class WhoamiRole(BaseModel):
    """A role on a group."""

    path: str
    role: str


class WhoamiOut(BaseModel):
    """Who the caller is."""

    person: str
    token: TokenOut
    administrator: bool
    auditor: bool
    groups: list[WhoamiRole]
    sites: list[str]


class GpuClassIn(Input):
    """The credits of one GPU-hour, as a fraction, from a time on; or how fast the class is in general, relative to others, from
    now on, null for nobody knows; or both. What is left out stays."""

    credit_numerator: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    credit_denominator: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    valid_from: TimeText | None = None
    speed: Annotated[float, Field(ge=SPEED_MIN, le=SPEED_MAX, allow_inf_nan=False)] | None = None
    why: Why = ""


class GpuClassOut(BaseModel):
    """A GPU class and its rate. ``speed`` is that of now, whatever the rate's date; null where nobody has said it."""

    name: str
    valid_from: TimeText
    credit_numerator: int
    credit_denominator: int
    speed: float | None = None


class GpuClassPage(Page):
    """GPU classes, by name and date."""

    items: list[GpuClassOut]
