"""What may be set of how past use decays: its half-life, and what a start counts at once."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from scheduler.model.duration import DURATION_PATTERN, number_or_text, parse_duration_seconds

HALF_LIFE_SECONDS_MIN, HALF_LIFE_SECONDS_MAX = 3600, 366 * 86_400
ENTRY_SECONDS_MAX = 86_400

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
