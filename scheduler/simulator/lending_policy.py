"""What a policy file says of lenders: offers, recalls, and maintenance. Seconds count on the trace's clock."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from scheduler.model.calendar import Calendar
from scheduler.model.offer import Rate, Sector, parse_notice_seconds
from scheduler.model.shape import PRIORITY_CLASSES, DataClass
from scheduler.simulator.policy_part import Part, Seconds

NoticeSeconds = Annotated[Annotated[int, Field(ge=0)] | None, BeforeValidator(parse_notice_seconds)]


class OfferPolicy(Part):
    """``nodes`` nodes of one class at a site, lent on terms that mean what ``scheduler.model.offer`` says.

    When: in the window [from, to) of seconds, again every ``every_seconds``; or by a weekly calendar; else for good.
    ``gpu_class`` may be left out where the site has one class. A site with an offer lends inside its offers alone.
    ``group`` is the path of the lender's own group, which earns standing. ``rate`` is owed in credits for a GPU-hour.
    """

    site: str
    nodes: int = Field(ge=1)
    gpu_class: str | None = None
    from_seconds: Seconds = 0
    to_seconds: Seconds | None = None
    every_seconds: Seconds | None = None
    calendar: Calendar | None = None
    sectors: tuple[Sector, ...] = ()
    data_classes: tuple[DataClass, ...] = ()
    notice_seconds: NoticeSeconds = 600
    minimum_hold_seconds: Seconds = 0
    priority_floor: str | None = None
    group: str | None = None
    rate: Rate | None = None

    @model_validator(mode="after")
    def _in_order(self) -> OfferPolicy:
        if self.calendar is not None and self.model_fields_set & {"from_seconds", "to_seconds", "every_seconds"}:
            raise ValueError("give a calendar or from_seconds, to_seconds and every_seconds, not both")
        if self.to_seconds is not None and self.to_seconds <= self.from_seconds:
            raise ValueError("to_seconds has to be after from_seconds")
        if self.every_seconds is not None:
            if self.to_seconds is None:
                raise ValueError("every_seconds repeats a window: give its to_seconds")
            if self.every_seconds < self.to_seconds - self.from_seconds:
                raise ValueError("every_seconds has to be no shorter than the window")
        if self.priority_floor is not None and self.priority_floor not in PRIORITY_CLASSES:
            raise ValueError("priority_floor is low, normal or high")
        return self


class RecallPolicy(Part):
    """The lender asks at ``at_seconds`` for nodes of a class by ``by_seconds``, to be lent again from ``until_seconds``.

    It gets as many of them as it could recall in production, chosen as they are there; nobody knows of it before.
    """

    site: str
    nodes: int = Field(ge=1)
    gpu_class: str | None = None
    at_seconds: Seconds
    by_seconds: Seconds
    until_seconds: Seconds | None = None

    @model_validator(mode="after")
    def _in_order(self) -> RecallPolicy:
        if self.by_seconds < self.at_seconds:
            raise ValueError("by_seconds has to be no earlier than at_seconds")
        if self.until_seconds is not None and self.until_seconds <= self.by_seconds:
            raise ValueError("until_seconds has to be after by_seconds")
        return self


class MaintenancePolicy(Part):
    """Nodes that nobody may run on during [from, to), known from ``at_seconds`` on.

    ``nodes`` of one class, chosen as those of a recall; without a number all of the class; without a class the whole site.
    """

    site: str
    nodes: int | None = Field(default=None, ge=1)
    gpu_class: str | None = None
    at_seconds: Seconds = 0
    from_seconds: Seconds
    to_seconds: Seconds | None = None

    @model_validator(mode="after")
    def _in_order(self) -> MaintenancePolicy:
        if self.from_seconds < self.at_seconds:
            raise ValueError("from_seconds has to be no earlier than at_seconds")
        if self.to_seconds is not None and self.to_seconds <= self.from_seconds:
            raise ValueError("to_seconds has to be after from_seconds")
        return self
