"""The documents of groups, as published."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from scheduler.api.schemas import TRUST_DOMAIN_PATTERN, GroupPath, Input, OutputBytes, Page, Slug, TimeText, Why
from scheduler.model.group_order import GroupOrder
from scheduler.model.shape import DataClass


class GroupIn(Input):
    """A new group below ``parent``."""

    parent: GroupPath = "federation"
    name: Slug
    sector: Literal["public", "startup", "research", "national", "partner"] | None = None
    data_class: DataClass | None = None
    trust_domain: Annotated[str, Field(max_length=128, pattern=TRUST_DOMAIN_PATTERN)] | None = None
    output_bytes_max: OutputBytes | None = None
    example: bool = False
    why: Why = ""


class OutputLimitIn(Input):
    """Largest archive of outputs of a job in the group and below; null: as the group above it."""

    output_bytes_max: OutputBytes | None
    why: Why = ""


class GroupOrderIn(Input):
    """Which jobs of one priority go first in the group and below; null: as in the group above it."""

    order: GroupOrder | None
    why: Why = ""


class GroupMoveIn(Input):
    """Where a group goes."""

    parent: GroupPath
    why: Why = ""


class GroupOut(BaseModel):
    """A node of the quota tree. ``order`` is what holds in it, ``own_order`` what was set here, null where it is inherited;
    ``etag`` is for what is set against what was read."""

    path: str
    name: str
    kind: str
    sector: str
    parent: str | None
    data_class: str
    trust_domain: str
    output_bytes_max: int | None
    order: GroupOrder
    own_order: GroupOrder | None
    etag: str
    example: bool
    roles_of_caller: list[str]
    created_at: TimeText


class GroupPage(Page):
    """Groups, by path."""

    items: list[GroupOut]
