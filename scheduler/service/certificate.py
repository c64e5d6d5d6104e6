"""The certificate of a federation: made from the record by the leading scheduler, told by servers.

For everybody who is signed in: it says how well all are served, and where waiting comes from. It names no group, person or
job; sites and their GPUs are everybody's to see anyway.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from scheduler.cycle.certificate_lent import PastOffer, lent_gpus
from scheduler.cycle.certificate_record import ClassRecord, RecordCertificate, certify_record
from scheduler.cycle.kept import Kept
from scheduler.cycle.shadow_prices import ShadowPrices, shadow_prices
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.reason import Reason, ReasonCode
from scheduler.service.lending import offer_of
from scheduler.service.runtime import Runtime
from scheduler.service.time_text import length_text, time_text
from scheduler.store import certificates, offers, past_jobs, reported_gpus
from scheduler.store.database import Database

#: It speaks of the jobs that succeeded within so long, and of no more than so many, the newest.
WINDOW_MS = 7 * 86_400_000
JOBS_MAX = 10_000
WAITING_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SitePrice:
    """Hours of waiting that one more GPU-hour of a class at a site would save."""

    site: str
    gpu_class: str
    hours_saved: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Certified:
    """A certificate made at ``made_ms`` of the jobs that succeeded since ``since_ms``; ``record`` None: of no job.

    ``prices`` None: more jobs waited than are looked at. ``without_time`` of those ``waiting`` were left out of them.
    """

    made_ms: int
    since_ms: int
    record: RecordCertificate | None
    left_out: int
    waiting: int
    without_time: int
    prices: tuple[SitePrice, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateView:
    """``report`` says how near to the best possible the federation was, or why nobody knows; ``no_prices`` why there are no
    prices, where there are none."""

    report: Reason
    certified: Certified | None
    no_prices: Reason | None


def make_certificate(database: Database, snapshot: Snapshot, now_ms: int) -> Certified:
    """Work it out: tens of seconds of a processor where thousands of jobs ended and wait. Writes nothing."""
    with database.read() as connection:
        jobs = past_jobs.succeeded(connection, now_ms - WINDOW_MS, JOBS_MAX)
        reported = reported_gpus.since(connection, min((job.released_ms for job in jobs), default=now_ms))
        made = [PastOffer(offer_of(row), row.created_ms) for row in offers.every(connection)]
    since_ms = jobs[-1].completed_ms if len(jobs) == JOBS_MAX else now_ms - WINDOW_MS
    record = certify_record(jobs, lent_gpus(reported, made, now_ms))
    # What rounds remember of policies in a snapshot is theirs alone.
    priced = shadow_prices(replace(snapshot, rules={}, kept=Kept()), waiting_max=WAITING_MAX)
    return Certified(
        made_ms=now_ms,
        since_ms=since_ms,
        record=record,
        left_out=len(jobs) if record is None else record.left_out,
        waiting=priced.waiting,
        without_time=priced.without_time,
        prices=_by_name(snapshot, priced),
    )


def _by_name(snapshot: Snapshot, priced: ShadowPrices) -> tuple[SitePrice, ...] | None:
    if priced.by_pool is None:
        return None
    prices = [
        SitePrice(site=snapshot.sites[site].name, gpu_class=gpu_class, hours_saved=round(hours, 3))
        for (site, gpu_class), hours in priced.by_pool.items()
    ]
    return tuple(sorted(prices, key=lambda each: (each.gpu_class, each.site)))


def document_of(certified: Certified) -> dict[str, Any]:
    """As it is kept."""
    return asdict(certified)


def read_certified(document: dict[str, Any]) -> Certified:
    """What ``document_of`` wrote."""
    record, prices = document["record"], document["prices"]
    if record is not None:
        classes = tuple(ClassRecord(**each) for each in record["classes"])
        record = RecordCertificate(classes=classes, left_out=record["left_out"])
    if prices is not None:
        prices = tuple(SitePrice(**each) for each in prices)
    return Certified(**(document | {"record": record, "prices": prices}))


def show_certificate(runtime: Runtime) -> CertificateView:
    """The newest; for everybody."""
    with runtime.database.read() as connection:
        row = certificates.newest(connection)
    if row is None:
        unknown = Reason(code=ReasonCode.CERTIFICATE_NOT_MADE)
        return CertificateView(report=unknown, certified=None, no_prices=unknown)
    certified = read_certified(row.document)
    return CertificateView(report=_report(certified), certified=certified, no_prices=_no_prices(certified))


def within_percent(mean_seconds: float, bound_seconds: float) -> float:
    """By how much a mean is above its bound at the most, to a tenth; bounds are too low by less than what is rounded off."""
    return max(0.0, math.ceil(round((mean_seconds / bound_seconds - 1.0) * 1000.0, 6)) / 10.0)


def _report(certified: Certified) -> Reason:
    since, record = time_text(certified.since_ms), certified.record
    if record is None:
        return Reason(
            code=ReasonCode.CERTIFICATE_WITHOUT_JOBS, numbers={"since": since, "left_out": certified.left_out}
        )
    mean, bound = record.mean_completion_seconds, record.mean_completion_lower_bound_seconds
    return Reason(
        code=ReasonCode.CERTIFICATE_STANDS,
        numbers={
            "jobs": record.jobs,
            "since": since,
            "mean": length_text(mean),
            "bound": length_text(bound),
            "percent": within_percent(mean, bound),
        },
    )


def _no_prices(certified: Certified) -> Reason | None:
    if certified.prices is not None:
        return None
    numbers = {"waiting": certified.waiting, "waiting_max": WAITING_MAX}
    return Reason(code=ReasonCode.PRICES_TOO_MANY_WAITING, numbers=numbers)


def prices_by_pool(prices: Sequence[SitePrice] | None) -> dict[tuple[str, str], float]:
    """Prices by site and class."""
    return {(each.site, each.gpu_class): each.hours_saved for each in prices or ()}
