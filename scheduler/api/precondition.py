"""What a change is set against: the ETag of what was read, as HTTP's conditions name it."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Header

from scheduler.api.problem import RefusedError
from scheduler.model.reason import ReasonCode, refuse

Condition = Annotated[str | None, Header(max_length=64)]


def etag_or_first(if_match: str | None, if_none_match: str | None) -> str | None:
    """The ETag of `If-Match: "etag"`, None for `If-None-Match: *`; anything else is refused."""
    if if_none_match is not None and if_none_match.strip() == "*" and if_match is None:
        return None
    etag = _etag(if_match)
    if etag is None or if_none_match is not None:
        raise _refused(
            'send If-Match: "etag" of the quota that was read, or If-None-Match: * for a first one',
            '읽은 할당량의 etag로 If-Match: "etag"를, 처음이면 If-None-Match: *를 보내십시오',
        )
    return etag


def etag_read(if_match: str | None) -> str:
    """The ETag of `If-Match: "etag"`; anything else is refused."""
    etag = _etag(if_match)
    if etag is None:
        raise _refused('send If-Match: "etag" of what was read', '읽은 것의 etag로 If-Match: "etag"를 보내십시오')
    return etag


def _etag(if_match: str | None) -> str | None:
    match = re.fullmatch(r'(?:W/)?"?(\d{1,19})"?', (if_match or "").strip())
    return None if match is None else match[1]


def _refused(problem: str, problem_ko: str) -> RefusedError:
    return RefusedError(
        refuse(ReasonCode.INVALID_PRECONDITION, field="If-Match", problem=problem, problem_ko=problem_ko)
    )
