"""What every refusal of the HTTP edge looks like."""

from __future__ import annotations

import re
from typing import Any

import httpx


def assert_is_a_problem(problem: Any) -> None:
    """A refusal names its code and says it in both languages; what is wrong with a field names the field."""
    assert problem["code"] and problem["detail"] and problem["detail_ko"]
    assert re.search(r"[가-힣]", problem["detail_ko"])
    assert "Traceback" not in str(problem)
    for error in problem["errors"]:
        assert error["field"] and error["message"] and error["message_ko"]


def assert_refuses(answer: httpx.Response, status: int, *fields: str) -> None:
    """The answer is a problem of that status, which names these fields and no others."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert_is_a_problem(answer.json())
    assert {error["field"] for error in answer.json()["errors"]} == set(fields), answer.text
