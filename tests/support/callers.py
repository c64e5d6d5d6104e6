"""People as use cases are handed them, and why they were refused."""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.model.reason import ReasonCode, Refusal
from scheduler.service.caller import Caller, Role


def somebody(
    like: Caller,
    *,
    sites: frozenset[int] = frozenset(),
    auditor: bool = False,
    roles: Mapping[int, frozenset[Role]] | None = None,
) -> Caller:
    """A person who is no administrator, with the token of another."""
    return Caller(
        person_id=99, person="minseo", token=like.token, roles=roles or {}, sites=sites, administrator=False,
        auditor=auditor,
    )  # fmt: skip


def code_of(answer: object) -> ReasonCode:
    """Why something is refused."""
    assert isinstance(answer, Refusal), answer
    return answer.code
