"""`dure quota preview`: what is sent of a file, what is shown, and which file is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from scheduler.cli.failure import EXIT_NOT_FOUND, EXIT_REFUSED, EXIT_USAGE

GROUP = "research.kaist"
QUOTA = f"- group: {GROUP}\n  gpu_class: h100\n"


def standing(**numbers: int | None) -> dict[str, int | None]:
    """One side of a row."""
    names = ("guaranteed", "guaranteed_effective", "fair_share", "used", "used_next")
    bounds = dict.fromkeys(("limit", "borrowing_limit", "lending_limit"))
    return dict.fromkeys(names, 4) | bounds | {"weight": 1, "cells_effective": 0} | numbers


ANSWER: dict[str, Any] = {
    "groups": [
        {
            "group": GROUP,
            "gpu_class": "h100",
            "before": standing(),
            "after": standing(guaranteed=12, limit=16, used_next=11),
        }
    ],
    "starts": [
        {
            "group": GROUP,
            "gpu_class": "h100",
            "before": {"jobs": 1, "gpus": 2},
            "after": {"jobs": 4, "gpus": 9},
        }
    ],
    "stops": [
        {
            "group": None,
            "gpu_class": "h100",
            "cause": "reclaimed",
            "before": {"runs": 0, "gpus": 0},
            "after": {"runs": 3, "gpus": 7},
        }
    ],
    "groups_above_limit": {"before": 0, "after": 1},
    "evaluated_at": "2026-11-24T03:00:00.000Z",
}

Dure = Callable[..., Any]


@pytest.fixture
def sent() -> list[Any]:
    """What the server was asked."""
    return []


@pytest.fixture
def dure(against: Dure, tmp_path: Path, sent: list[Any]) -> Dure:
    """Preview a text as a file; the server answers with ``status`` and ``answer``."""

    def run(text: str, *words: str, name: str = "policy.yaml", lang: str = "en", **answers: Any) -> Any:
        def answer(request: httpx.Request) -> httpx.Response:
            assert (request.method, request.url.path) == ("POST", "/api/v1/quotas/preview")
            assert request.headers["Idempotency-Key"]
            sent.append(json.loads(request.content))
            return httpx.Response(answers.get("status", 200), json=answers.get("answer", ANSWER))

        (tmp_path / name).write_text(text, encoding="utf-8")
        return against(answer, "quota", "preview", str(tmp_path / name), *words, lang=lang)

    return run


def test_a_file_is_sent_as_it_stands_and_none_is_no_limit(dure: Dure, sent: list[Any]) -> None:
    done = dure(QUOTA + "  guaranteed: 12\n  limit: none\n  lending_limit: 3\n")
    assert done.exit_code == 0, done.output
    assert sent == [
        {"quotas": [{"group": GROUP, "gpu_class": "h100", "guaranteed": 12, "limit": None, "lending_limit": 3}]}
    ]


def test_json_is_read_too_even_with_tabs(dure: Dure, sent: list[Any]) -> None:
    quotas = [{"group": GROUP, "gpu_class": "h100", "weight": 2}]
    assert dure(json.dumps(quotas, indent="\t"), name="policy.json").exit_code == 0
    assert sent == [{"quotas": quotas}]


def test_what_becomes_different_is_shown_before_and_after(dure: Dure) -> None:
    lines = [line.split("  ") for line in dure(QUOTA).stdout.splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert cells[:2] == [
        ["GROUP", "CLASS", "GUARANTEED", "EFFECTIVE", "LIMIT", "FAIR-SHARE", "USED", "USED-NEXT"],
        [GROUP, "h100", "4 → 12", "4", "- → 16", "4", "4", "4 → 11"],
    ]
    assert [GROUP, "h100", "1 → 4", "2 → 9"] in cells
    assert ["(groups you do not see)", "h100", "0 → 3", "0 → 7", "for another group's share"] in cells
    assert ["Groups above their limit: 0 → 1"] in cells
    assert ["Jobs that start in the next round: 1 → 4 (2 → 9 GPUs)"] in cells
    assert ["Runs that it stops: 0 → 3 (0 → 7 GPUs)"] in cells


def test_the_words_are_korean_for_those_who_read_it(dure: Dure) -> None:
    done = dure(QUOTA, lang="ko")
    for text in (
        "(볼 수 없는 그룹)",
        "다른 그룹의 몫 회수",
        "다음 라운드 시작 작업: 1 → 4 (GPU 2 → 9)",
        "한도를 넘은 그룹",
    ):
        assert text in done.stdout
    assert "아무것도 바꾸지 않았습니다" in done.stderr


@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_programs_get_the_document_and_nothing_else(dure: Dure, form: str, read: Callable[[str], Any]) -> None:
    assert read(dure(QUOTA, "-o", form).stdout) == ANSWER
    assert dure(QUOTA, "-o", "name").stdout == f"{GROUP}\n"


@pytest.mark.parametrize(
    ("status", "code", "exit_code"), [(422, "GuaranteeExceeded", EXIT_REFUSED), (404, "GroupNotFound", EXIT_NOT_FOUND)]
)
def test_a_refused_change_has_its_exit_code_and_says_where(dure: Dure, status: int, code: str, exit_code: int) -> None:
    errors = [{"field": "quotas.1.group", "message": "mend it", "message_ko": "고치십시오"}]
    done = dure(QUOTA, status=status, answer={"code": code, "detail": "no", "detail_ko": "안 됩니다", "errors": errors})
    assert done.exit_code == exit_code
    assert "quotas.1.group: mend it" in done.stderr and done.stdout == ""


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("policy.yaml", "- a: [", r"policy.yaml is not YAML (line"),
        ("policy.json", "[{]", "policy.json is not JSON (line 1)"),
        ("policy.yaml", "group: research", "has to hold a list: - {group:"),
        ("policy.yaml", "just words", "has to hold a list"),
        ("policy.yaml", QUOTA + "  limit: 2026-11-25", "quotas.0.limit is read as date: put it in quotes"),
        ("policy.yaml", QUOTA + "  guaranteed: .nan", "quotas.0.guaranteed is read as float"),
    ],
)
def test_what_is_no_list_of_quotas_is_told_with_its_mend_and_never_sent(
    dure: Dure, sent: list[Any], name: str, text: str, told: str
) -> None:
    done = dure(text, name=name)
    assert done.exit_code == EXIT_USAGE and told in done.stderr
    korean = dure(text, name=name, lang="ko")
    assert any("가" <= letter <= "힣" for letter in korean.stderr)
    assert sent == []
