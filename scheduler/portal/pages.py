"""What each template sees: one frozen dataclass a template, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What surrounds every page."""

    language: str
    person: str | None
    form_value: str
    path: str


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
    submitted: str
    elapsed: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsPage:
    """``jobs.html``. ``following`` is the address of the next page."""

    frame: Frame
    jobs: Sequence[JobLine]
    everybody: bool
    ended: bool
    following: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineLine:
    """Something that happened to a job."""

    at: str
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
    """One attempt."""

    epoch: int
    site: str
    phase: str
    nodes: str
    started: str
    ended: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """``job_status.html``: the part of a job's page that is live."""

    job: JobLine
    is_live: bool
    counterfactual: str | None
    sites: Sequence[SiteLine]
    runs: Sequence[RunLine]
    timeline: Sequence[TimelineLine]
    actions: Sequence[str]
    gpu_seconds: str
    form_value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPage:
    """``job.html``."""

    frame: Frame
    status: JobStatus
    log: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLine:
    """GPUs of one class at one site."""

    site: str
    state: str
    gpu_class: str
    total: int
    free: int
    free_for_me: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SitesPage:
    """``sites.html``."""

    frame: Frame
    pools: Sequence[PoolLine]


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
    used_percent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSection:
    """A group with its quotas."""

    path: str
    example: bool
    quotas: Sequence[QuotaLine]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupsPage:
    """``groups.html``."""

    frame: Frame
    groups: Sequence[GroupSection]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorPage:
    """``error.html``."""

    frame: Frame
    status: int
    text: str
