"""The rule by which past use decays, as documents."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field

from quota.decay import Decay
from scheduler.api.schemas import Input, Why
from scheduler.cycle.past_use import ENTRY_SECONDS_MAX, HALF_LIFE_SECONDS_MAX, HALF_LIFE_SECONDS_MIN
from scheduler.model.duration import DURATION_PATTERN, parse_duration_seconds
from scheduler.model.job_spec import number_or_text
from scheduler.store.past_uses import DecayRule

HalfLifeSeconds = Annotated[
    int,
    BeforeValidator(parse_duration_seconds),
    Field(ge=HALF_LIFE_SECONDS_MIN, le=HALF_LIFE_SECONDS_MAX),
    number_or_text(HALF_LIFE_SECONDS_MIN, HALF_LIFE_SECONDS_MAX, DURATION_PATTERN),
]
EntrySeconds = Annotated[
    int,
    BeforeValidator(parse_duration_seconds),
    Field(ge=0, le=ENTRY_SECONDS_MAX),
    number_or_text(0, ENTRY_SECONDS_MAX, DURATION_PATTERN),
]


class DecayIn(Input):
    """Whole seconds, or durations like `7d` and `10m`."""

    half_life_seconds: HalfLifeSeconds
    entry_seconds: EntrySeconds
    why: Why = ""

    def decay(self) -> Decay:
        """The rule."""
        return Decay(half_life_ms=self.half_life_seconds * 1000, entry_ms=self.entry_seconds * 1000)


class DecayOut(BaseModel):
    """After ``half_life_seconds`` use counts half; a start counts at once as much as its GPUs do in ``entry_seconds``."""

    half_life_seconds: int
    entry_seconds: int
    etag: str


def decay_document(rule: DecayRule) -> DecayOut:
    """The rule that holds."""
    return DecayOut(
        half_life_seconds=rule.decay.half_life_ms // 1000,
        entry_seconds=rule.decay.entry_ms // 1000,
        etag=str(rule.change),
    )
