"""Sites that refused a job: what ends of runs say of them, and how that is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from scheduler.model.ids import SiteId
from scheduler.model.job_state import EndCause, JobState
from scheduler.model.reason import Number, Reason, ReasonCode
from scheduler.model.site_refusal import SiteRefusal, in_force, with_refusal
from scheduler.service.time_text import time_text
from scheduler.store import jobs
from scheduler.store.jobs import JobRow
from scheduler.store.runs import RunRow
from scheduler.store.transaction import WriteTransaction


def refusals_of(row: Any) -> tuple[SiteRefusal, ...]:
    """What the row of a job says in ``refusals``, by site."""
    if row.refusals is None:
        return ()
    return tuple(
        SiteRefusal(site=SiteId(each["site"]), times=each["times"], until_ms=each["until_ms"], message=each["message"])
        for each in row.refusals
    )


def as_json(refusals: Sequence[SiteRefusal]) -> list[dict[str, Any]] | None:
    """The value of ``jobs.refusals``."""
    if not refusals:
        return None
    return [
        {"site": each.site, "times": each.times, "until_ms": each.until_ms, "message": each.message}
        for each in refusals
    ]


class RefusedJobs:
    """Collects what the ends of one transaction say of sites that refuse jobs."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms
        self._rows: list[tuple[int, list[dict[str, Any]] | None]] = []

    def note(self, run: RunRow, job: JobRow, cause: EndCause, message: str, *, ran: bool, state: JobState) -> None:
        """A live run has ended, and its job stands in ``state``. What was refused before is forgotten once the job has
        run, its owner has sent it back, or it has come to its end."""
        before = refusals_of(job)
        after = before
        if ran or job.requeue_requested or state is not JobState.QUEUED:
            after = ()
        elif cause is EndCause.REFUSED:
            after = with_refusal(before, SiteId(run.site_id), message, self._now_ms)
        if after != before:
            self._rows.append((job.id, as_json(after)))

    def write(self, transaction: WriteTransaction) -> None:
        """Write it down."""
        jobs.change_many(transaction, ("refusals",), self._rows)


def with_refusals(reason: Reason, row: JobRow, site_names: Mapping[int, str], now_ms: int) -> Reason:
    """A class's reason as one of its jobs has it: with how often which site refused it, why, and until when that counts.

    Of several sites the one that is asked again first stands in front.
    """
    refusals = in_force(refusals_of(row), now_ms)
    if not refusals:
        return reason
    told = {site_names.get(each.site, "?"): _numbers(each, site_names) for each in refusals}
    code = ReasonCode.REFUSED_BY_SITE
    per_site = tuple(
        replace(each, numbers={**each.numbers, **told.get(each.site, {})}) if each.code is code else each
        for each in reason.per_site
    )
    numbers = dict(reason.numbers)
    if reason.code is code:
        asked = {each.site for each in per_site if each.code is code}
        mine = [each for each in refusals if site_names.get(each.site, "?") in asked]
        first = min(mine or refusals, key=lambda each: (each.until_ms, each.site))
        numbers |= _numbers(first, site_names)
    return replace(reason, numbers=numbers, per_site=per_site)


def _numbers(refusal: SiteRefusal, site_names: Mapping[int, str]) -> dict[str, Number]:
    return {
        "site": site_names.get(refusal.site, "?"),
        "times": refusal.times,
        "message": refusal.message or None,
        "until": time_text(refusal.until_ms),
    }
