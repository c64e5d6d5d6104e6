"""The documents of offers, recalls and reservations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from scheduler.api.documents import time_or_none
from scheduler.api.schemas import LABEL_PATTERN, WHY_PATTERN, DatabaseId, GroupPath, Input, Page, Slug, TimeText, Why
from scheduler.model.calendar import Calendar
from scheduler.model.job_spec import GpuClassName
from scheduler.model.offer import LendingEnd, OfferSpec, OfferState
from scheduler.model.wall_time import YEARS
from scheduler.service.node_choice import Departure
from scheduler.service.offers import OfferView
from scheduler.service.recalls import RecallInput, RecallView
from scheduler.service.reservations import ReservationInput, ReservationView
from scheduler.service.time_text import time_ms, time_text

NODES_MAX = 100_000
NAMES_MAX = 10_000


_END_MS = time_ms(f"{YEARS[-1]}-12-31T00:00:00Z") or 0


def parse_moment_ms(value: Any) -> int:
    """Read ``2026-12-24T18:00:00+09:00`` as milliseconds since the epoch."""
    moment_ms = time_ms(value) if isinstance(value, str) else None
    if moment_ms is None or not 0 <= moment_ms < _END_MS:
        raise PydanticCustomError(
            "moment",
            "write a time with its offset like 2026-12-24T18:00:00+09:00, of the years {first} to {last}",
            {"first": YEARS[0], "last": YEARS[-1]},
        )
    return moment_ms


Moment = Annotated[
    int, BeforeValidator(parse_moment_ms), WithJsonSchema({"type": "string", "examples": ["2026-12-24T18:00:00+09:00"]})
]
NodeName = Annotated[str, Field(min_length=1, max_length=253, pattern=LABEL_PATTERN)]
NodeCount = Annotated[int, Field(ge=1, le=NODES_MAX)]


class OfferIn(OfferSpec):
    """A new offer: its terms, and why it is made."""

    site: Slug
    why: Why = ""

    def spec(self) -> OfferSpec:
        """The terms alone."""
        return OfferSpec.model_validate(self.model_dump(by_alias=True, exclude={"why"}))


class WindowOut(BaseModel):
    """Hours on some days; ``to`` that is not after ``from`` is on the next day."""

    days: list[str]
    opens: Annotated[str, Field(serialization_alias="from")]
    closes: Annotated[str, Field(serialization_alias="to")]


class DaysOut(BaseModel):
    """Days, both ends included."""

    first: Annotated[str, Field(serialization_alias="from")]
    last: Annotated[str, Field(serialization_alias="to")]


class CalendarOut(BaseModel):
    """When an offer lends, in wall-clock times of ``time_zone``; without windows always."""

    time_zone: str
    windows: list[WindowOut]
    blackouts: list[DaysOut]
    valid_from: str | None
    valid_until: str | None


class OfferOut(BaseModel):
    """An offer. ``open``: whether its window is open now; ``changes_at``: when that changes next, null for never.

    ``closes_at``: from when on a closed one lends nothing; until then its ``state`` is closing.
    """

    id: int
    site: str
    gpu_class: str
    nodes: int
    calendar: CalendarOut
    sectors: list[str]
    data_classes: list[str]
    notice_seconds: int | None
    minimum_hold_seconds: int
    rate: str | None
    priority_floor: str | None
    group: str | None
    state: Literal["open", "closing", "closed"]
    open: bool
    changes_at: TimeText | None
    closes_at: TimeText | None
    created_at: TimeText
    created_by: str


class OfferPage(Page):
    """Offers, by number."""

    items: list[OfferOut]


class DepartureOut(BaseModel):
    """A run that has to go: it is told to stop at ``told_at``; if it ``checkpoints``, it saves its state then."""

    run: int
    job: int
    gpus: int
    nodes: list[str]
    told_at: TimeText
    checkpoints: bool
    preemptible: bool


class RecallIn(Input):
    """Nodes asked back by ``by``; lent again from ``until`` on, null: once the recall is withdrawn."""

    gpu_class: GpuClassName
    nodes: NodeCount
    by: Moment
    until: Moment | None = None
    why: Why = ""

    def asked(self) -> RecallInput:
        """What the use case is asked."""
        return RecallInput(gpu_class=self.gpu_class, nodes=self.nodes, by_ms=self.by, until_ms=self.until)


class RecallOut(BaseModel):
    """A recall: from ``by`` on no run is left on its nodes. ``runs`` still have to go."""

    id: int
    site: str
    gpu_class: str
    nodes: list[str]
    asked_at: TimeText
    by: TimeText
    until: TimeText | None
    withdrawn_at: TimeText | None
    created_by: str
    runs: list[DepartureOut]


class RecallPage(Page):
    """Recalls, by number."""

    items: list[RecallOut]


class ReservationIn(Input):
    """Nodes by name, or ``count`` of a class; without a count all of it, without a class the whole site.

    ``from`` null: from now on; ``to`` null: until it is withdrawn. ``group`` and those below it may run there; null: nobody.
    """

    nodes: list[NodeName] = Field(default=[], max_length=NAMES_MAX)
    gpu_class: GpuClassName | None = None
    group: GroupPath | None = None
    count: NodeCount | None = None
    from_: Moment | None = Field(default=None, alias="from")
    to: Moment | None = None
    reason: str = Field(min_length=1, max_length=500, pattern=WHY_PATTERN)

    def asked(self) -> ReservationInput:
        """What the use case is asked."""
        return ReservationInput(
            nodes=tuple(self.nodes),
            gpu_class=self.gpu_class,
            count=self.count,
            from_ms=self.from_,
            to_ms=self.to,
            reason=self.reason,
            group=self.group,
        )


class ReservationOut(BaseModel):
    """Nodes on which nothing runs for a time but work of ``group``, if there is one. ``runs`` still have to go."""

    id: int
    site: str
    gpu_class: str | None
    nodes: list[str]
    from_: Annotated[TimeText, Field(serialization_alias="from")]
    to: TimeText | None
    reason: str
    created_at: TimeText
    withdrawn_at: TimeText | None
    created_by: str
    group: str | None
    runs: list[DepartureOut]


class ReservationPage(Page):
    """Reservations, by number."""

    items: list[ReservationOut]


#: The number of an offer, a recall or a reservation in a path.
Number = DatabaseId


def offer_document(view: OfferView) -> OfferOut:
    """An offer as its site's operators see it."""
    row, terms = view.row, view.terms
    closing = view.state is OfferState.OPEN and row.closes_ms is not None
    return OfferOut(
        id=row.id,
        site=view.site,
        gpu_class=terms.gpu_class,
        nodes=terms.nodes,
        calendar=_calendar_document(terms.calendar),
        sectors=[each.value for each in terms.sectors],
        data_classes=[each.value for each in terms.data_classes],
        notice_seconds=terms.notice_seconds,
        minimum_hold_seconds=terms.minimum_hold_seconds,
        rate=None if terms.rate is None else str(terms.rate),
        priority_floor=terms.priority_floor,
        group=view.group,
        state=LendingEnd.CLOSING.value if closing else view.state.value,
        open=view.open,
        changes_at=time_or_none(view.changes_ms),
        closes_at=time_or_none(row.closes_ms),
        created_at=time_text(row.created_ms),
        created_by=row.created_by,
    )


def _calendar_document(calendar: Calendar) -> CalendarOut:
    return CalendarOut(
        time_zone=calendar.time_zone,
        windows=[
            WindowOut(days=[day.value for day in each.days], opens=_clock(each.opens), closes=_clock(each.closes))
            for each in calendar.windows
        ],
        blackouts=[DaysOut(first=str(each.first), last=str(each.last)) for each in calendar.blackouts],
        valid_from=None if calendar.valid_from is None else f"{calendar.valid_from:%Y-%m-%dT%H:%M}",
        valid_until=None if calendar.valid_until is None else f"{calendar.valid_until:%Y-%m-%dT%H:%M}",
    )


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def recall_document(view: RecallView) -> RecallOut:
    """A recall with its plan."""
    row = view.row
    return RecallOut(
        id=row.id,
        site=view.site,
        gpu_class=row.gpu_class,
        nodes=list(view.nodes),
        asked_at=time_text(row.asked_ms),
        by=time_text(row.by_ms),
        until=time_or_none(row.until_ms),
        withdrawn_at=time_or_none(row.withdrawn_ms),
        created_by=row.created_by,
        runs=_departure_documents(view.departures),
    )


def reservation_document(view: ReservationView) -> ReservationOut:
    """A reservation with who has to go."""
    row = view.row
    return ReservationOut(
        id=row.id,
        site=view.site,
        gpu_class=row.gpu_class,
        nodes=list(view.nodes),
        from_=time_text(row.from_ms),
        to=time_or_none(row.to_ms),
        reason=row.reason,
        created_at=time_text(row.created_ms),
        withdrawn_at=time_or_none(row.withdrawn_ms),
        created_by=row.created_by,
        group=view.group,
        runs=_departure_documents(view.departures),
    )


def _departure_documents(leaving: Sequence[Departure]) -> list[DepartureOut]:
    return [
        DepartureOut(
            run=each.run.id,
            job=each.run.job_id,
            gpus=each.run.gpus,
            nodes=list(each.nodes),
            told_at=time_text(each.told_ms),
            checkpoints=each.run.checkpoints,
            preemptible=each.run.preemptible,
        )
        for each in leaving
    ]
