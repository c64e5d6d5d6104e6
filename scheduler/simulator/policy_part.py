"""What the parts of a policy file have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from scheduler.model.duration import parse_duration_seconds

Seconds = Annotated[int, BeforeValidator(parse_duration_seconds), Field(ge=0)]


class Part(BaseModel):
    """Base of the file's parts: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
