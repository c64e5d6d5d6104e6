"""Offers: what a lender lends, when, to whom, and on which terms.

**A site that has at least one offer lends only inside offers**; closed ones count, so that closing the last offer lends
nothing and not everything. A site that never had one lends what its agent reports, as its owner's open-ended default.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, InstanceOf, PlainSerializer, WithJsonSchema, field_validator
from pydantic_core import PydanticCustomError

from scheduler.model.calendar import Calendar, spells
from scheduler.model.duration import parse_duration_seconds
from scheduler.model.ids import GroupId, OfferId, SiteId
from scheduler.model.job_spec import GROUP_PATH_PATTERN, GpuClassName, Part
from scheduler.model.shape import PRIORITY_CLASSES, DataClass
from scheduler.model.spell import Spell

TERM_SECONDS_MAX = 90 * 86_400
RATE_MAX = 1_000_000


class Sector(StrEnum):
    """The groups directly below the federation, by whom they serve."""

    PUBLIC = "public"
    STARTUP = "startup"
    RESEARCH = "research"
    NATIONAL = "national"
    PARTNER = "partner"


class OfferState(StrEnum):
    """Whether an offer lends. How its calendar stands is another matter."""

    OPEN = "open"
    CLOSED = "closed"


class LendingAction(StrEnum):
    """What ends an offer, and what ends a recall or a reservation."""

    CLOSE = "close"
    WITHDRAW = "withdraw"


class LendingEnd(StrEnum):
    """How offers, recalls and reservations stand that nobody can end any more, or not again."""

    CLOSING = "closing"  #: closed, and its notice is not over
    WITHDRAWN = "withdrawn"
    OVER = "over"  #: by its own time


@dataclass(frozen=True, slots=True, kw_only=True)
class Borrower:
    """Who would run on lent nodes: all that an offer looks at. ``groups`` are the group and those above it."""

    sector: Sector
    data_class: DataClass
    priority: int
    groups: frozenset[GroupId]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A contract for ``nodes`` nodes of one class at one site, as rounds see it. Empty tuples allow all.

    ``notice_seconds`` lies between a recall and its deadline; None: the lender does not recall before a window ends.
    ``minimum_hold_seconds`` is how long a run that starts here keeps its nodes at the least: no recall's deadline falls
    into it, and before a known drop that does, only runs that finish in time start. ``rate`` is owed to the lender in
    credits for a GPU-hour; None: what the exchange table says. ``priority_floor`` is the least priority served.
    ``group`` is the lender's own. ``closes_ms`` is the moment from which a closing takes effect, its notice kept.
    """

    id: OfferId
    site: SiteId
    gpu_class: str
    nodes: int
    calendar: Calendar
    sectors: tuple[Sector, ...] = ()
    data_classes: tuple[DataClass, ...] = ()
    notice_seconds: int | None
    minimum_hold_seconds: int = 0
    rate: Fraction | None = None
    priority_floor: int | None = None
    group: GroupId | None = None
    closes_ms: int | None = None

    def state(self, now_ms: int) -> OfferState:
        """Whether the offer lends at a moment, its calendar apart."""
        return OfferState.OPEN if self.closes_ms is None or now_ms < self.closes_ms else OfferState.CLOSED

    def why_not_lent(self, borrower: Borrower) -> str | None:
        """Name the first term that keeps ``borrower`` out: ``sector``, ``data_class`` or ``priority``; None: it is let in."""
        if self.sectors and borrower.sector not in self.sectors:
            return "sector"
        if self.data_classes and borrower.data_class not in self.data_classes:
            return "data_class"
        if self.priority_floor is not None and borrower.priority < self.priority_floor:
            return "priority"
        return None

    def spells(self, from_ms: int) -> Iterator[Spell]:
        """When the offer lends from a moment on: its calendar until it is closed."""
        for start_ms, end_ms in spells(self.calendar, from_ms):
            if self.closes_ms is not None and start_ms >= self.closes_ms:
                return
            yield start_ms, _earlier(end_ms, self.closes_ms)

    def recall_earliest_ms(self, asked_ms: int, started_ms: int | None) -> int | None:
        """The first deadline a recall asked for at a moment may set; ``started_ms``: when the youngest run it ends started.

        None: this offer cannot be recalled.
        """
        if self.notice_seconds is None:
            return None
        noticed_ms = asked_ms + self.notice_seconds * 1000
        return noticed_ms if started_ms is None else max(noticed_ms, started_ms + self.minimum_hold_seconds * 1000)


def _earlier(end_ms: int | None, other_ms: int | None) -> int | None:
    if end_ms is None or other_ms is None:
        return end_ms if other_ms is None else other_ms
    return min(end_ms, other_ms)


def parse_notice_seconds(value: Any) -> Any:
    """Read a duration, or ``"none"`` for capacity that is not recalled."""
    return None if value == "none" else parse_duration_seconds(value)


def parse_rate(value: Any) -> Fraction:
    """Read ``2``, ``1.25``, ``"1.25"`` or ``"5/4"`` as credits for a GPU-hour, exactly as it is written."""
    text = str(value).strip() if isinstance(value, int | float | str | Fraction) else ""
    if not re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,6})?|[0-9]{1,7}/[1-9][0-9]{0,6}", text) or Fraction(text) > RATE_MAX:
        raise PydanticCustomError(
            "rate", "write credits for a GPU-hour like 1.25 or 5/4, at most {most}", {"most": RATE_MAX}
        )
    return Fraction(text)


DurationSeconds = Annotated[int, BeforeValidator(parse_duration_seconds, json_schema_input_type=int | str)]
NoticeSeconds = Annotated[int | None, BeforeValidator(parse_notice_seconds, json_schema_input_type=int | str | None)]
Rate = Annotated[
    InstanceOf[Fraction],
    BeforeValidator(parse_rate),
    PlainSerializer(str),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string"}]}),
]


class OfferSpec(Part):
    """An offer as a lender writes it; what each field means is told at ``Offer``."""

    site: str = Field(min_length=1, max_length=128)
    gpu_class: GpuClassName
    nodes: int = Field(ge=1, le=100_000)
    calendar: Calendar = Calendar(time_zone="UTC")
    sectors: tuple[Sector, ...] = Field(default=(), max_length=len(Sector))
    data_classes: tuple[DataClass, ...] = Field(default=(), max_length=len(DataClass))
    notice_seconds: NoticeSeconds = Field(ge=0, le=TERM_SECONDS_MAX, alias="notice")
    minimum_hold_seconds: DurationSeconds = Field(default=0, ge=0, le=TERM_SECONDS_MAX, alias="minimum_hold")
    rate: Rate | None = None
    priority_floor: str | None = Field(default=None, json_schema_extra={"enum": [*PRIORITY_CLASSES, None]})
    group: str | None = Field(default=None, pattern=GROUP_PATH_PATTERN, max_length=400)

    @field_validator("priority_floor")
    @classmethod
    def _known_priority(cls, value: str | None) -> str | None:
        if value is not None and value not in PRIORITY_CLASSES:
            raise PydanticCustomError("choice", "choose one of {known}", {"known": ", ".join(PRIORITY_CLASSES)})
        return value

    @field_validator("sectors", "data_classes")
    @classmethod
    def _distinct(cls, value: tuple[StrEnum, ...]) -> tuple[StrEnum, ...]:
        if len(set(value)) != len(value):
            raise PydanticCustomError("named_twice", "name each once")
        return value

    def offer(self, offer: OfferId, site: SiteId, group: GroupId | None) -> Offer:
        """The offer under its number, for the site and the group that ``site`` and ``group`` name."""
        return Offer(
            id=offer,
            site=site,
            gpu_class=self.gpu_class,
            nodes=self.nodes,
            calendar=self.calendar,
            sectors=self.sectors,
            data_classes=self.data_classes,
            notice_seconds=self.notice_seconds,
            minimum_hold_seconds=self.minimum_hold_seconds,
            rate=self.rate,
            priority_floor=None if self.priority_floor is None else PRIORITY_CLASSES[self.priority_floor],
            group=group,
        )
