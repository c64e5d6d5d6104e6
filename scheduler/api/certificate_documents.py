"""The certificate as a document."""

from __future__ import annotations

from pydantic import BaseModel

from scheduler.api.documents import reason_document
from scheduler.api.schemas import ReasonOut, TimeText
from scheduler.cycle.certificate_record import ClassRecord, RecordCertificate
from scheduler.service.certificate import CertificateView, within_percent
from scheduler.service.time_text import time_text


class RecordOut(BaseModel):
    """Means of completion less submission: what ``jobs`` had, and what no schedule could have gone below. They were at most
    ``within_percent`` above what any schedule could do."""

    jobs: int
    mean_completion_seconds: float
    mean_completion_lower_bound_seconds: float
    within_percent: float


class ClassRecordOut(RecordOut):
    """The same for the jobs of one GPU class."""

    gpu_class: str


class ShadowPriceOut(BaseModel):
    """One more GPU there for the next hour would spare those who wait so many hours of waiting, all together."""

    gpu_class: str
    site: str
    hours_saved: float


class CertificateOut(BaseModel):
    """How near to the best possible the federation was, and what one more GPU would be worth now.

    ``report`` is the sentence, or why nothing is known and ``total`` null. ``left_out`` jobs succeeded, too, of which the
    record does not tell what they needed. Of the ``waiting`` jobs ``waiting_without_time`` have no part in the prices, since
    nobody knows how long they run; ``no_prices`` says why there are none.
    """

    report: ReasonOut
    made_at: TimeText | None
    since: TimeText | None
    total: RecordOut | None
    classes: list[ClassRecordOut]
    left_out: int | None
    prices: list[ShadowPriceOut]
    waiting: int | None
    waiting_without_time: int | None
    no_prices: ReasonOut | None


def certificate_document(view: CertificateView) -> CertificateOut:
    """The newest, or that there is none."""
    told = view.certified
    record = None if told is None else told.record
    return CertificateOut(
        report=reason_document(view.report),
        made_at=None if told is None else time_text(told.made_ms),
        since=None if told is None else time_text(told.since_ms),
        total=None if record is None else _record(record),
        classes=[] if record is None else [_class(each) for each in record.classes],
        left_out=None if told is None else told.left_out,
        prices=[
            ShadowPriceOut(gpu_class=each.gpu_class, site=each.site, hours_saved=each.hours_saved)
            for each in (told.prices if told is not None and told.prices is not None else ())
        ],
        waiting=None if told is None else told.waiting,
        waiting_without_time=None if told is None else told.without_time,
        no_prices=None if view.no_prices is None else reason_document(view.no_prices),
    )


def _record(record: RecordCertificate | ClassRecord) -> RecordOut:
    mean, bound = record.mean_completion_seconds, record.mean_completion_lower_bound_seconds
    return RecordOut(
        jobs=record.jobs,
        mean_completion_seconds=mean,
        mean_completion_lower_bound_seconds=bound,
        within_percent=within_percent(mean, bound),
    )


def _class(record: ClassRecord) -> ClassRecordOut:
    return ClassRecordOut(gpu_class=record.gpu_class, **_record(record).model_dump())
