"""Identifiers: distinct types, so that swapping two of them is a type error."""

from __future__ import annotations

from typing import NewType

GroupId = NewType("GroupId", int)
PersonId = NewType("PersonId", int)
TokenId = NewType("TokenId", int)
SiteId = NewType("SiteId", int)
NodeId = NewType("NodeId", int)
JobId = NewType("JobId", int)
RunId = NewType("RunId", int)
ShapeId = NewType("ShapeId", int)
OfferId = NewType("OfferId", int)
