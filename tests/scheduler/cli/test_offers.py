"""`dure offer`, `dure recall` and `dure reserve`: what is sent, and what is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from scheduler.cli.failure import EXIT_REFUSED, EXIT_USAGE

OFFER: dict[str, Any] = {
    "id": 3, "site": "company-1", "gpu_class": "h100", "nodes": 8, "sectors": ["research", "startup"],
    "data_classes": [], "notice_seconds": 14_400, "minimum_hold_seconds": 1800, "rate": "5/4", "priority_floor": None,
    "group": None, "state": "open", "open": True, "changes_at": "2026-11-25T23:00:00.000Z", "closes_at": None,
    "created_at": "2026-11-24T03:00:00.000Z", "created_by": "minseo",
    "calendar": {
        "time_zone": "Asia/Seoul", "windows": [{"days": ["mon", "tue"], "from": "19:00", "to": "08:00"}],
        "blackouts": [], "valid_from": None, "valid_until": None,
    },
}  # fmt: skip
RUNS = [
    {
        "run": 12, "job": 7, "gpus": 16, "nodes": ["n1", "n2"], "told_at": "2026-11-25T08:50:00.000Z",
        "checkpoints": True, "preemptible": True,
    }
]  # fmt: skip
RECALL: dict[str, Any] = {
    "id": 5, "site": "company-1", "gpu_class": "h100", "nodes": ["n1", "n2"], "asked_at": "2026-11-24T03:00:00.000Z",
    "by": "2026-11-25T09:00:00.000Z", "until": None, "withdrawn_at": None, "created_by": "minseo", "runs": RUNS,
}  # fmt: skip
RESERVATION: dict[str, Any] = {
    "id": 9, "site": "company-1", "gpu_class": None, "nodes": ["n1", "n2"], "from": "2026-11-25T09:00:00.000Z",
    "to": None, "reason": "new cables", "created_at": "2026-11-24T03:00:00.000Z", "withdrawn_at": None,
    "created_by": "minseo", "runs": [],
}  # fmt: skip
FLAGS = ("--site", "company-1", "--gpu-class", "h100", "--nodes", "8", "--notice", "4h")
SENT = {"site": "company-1", "gpu_class": "h100", "nodes": 8, "notice": "4h", "why": ""}

Dure = Callable[..., Any]


@pytest.fixture
def sent() -> list[Any]:
    """What the server was asked: (method and path, body)."""
    return []


@pytest.fixture
def dure(against: Dure, sent: list[Any]) -> Dure:
    """A command over a server that answers with ``answer`` and ``status``."""

    def run(*words: str, answer: Any, status: int = 200, lang: str = "en") -> Any:
        def respond(request: httpx.Request) -> httpx.Response:
            path = request.url.path.removeprefix("/api/v1/")
            sent.append((f"{request.method} {path}", json.loads(request.content) if request.content else None))
            return httpx.Response(status, json=answer)

        return against(respond, *words, lang=lang)

    return run


def cells(output: str) -> list[list[str]]:
    """The cells of tables."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in output.splitlines()]


def test_an_offer_is_made_of_options(dure: Dure, sent: list[Any]) -> None:
    done = dure("offer", "create", *FLAGS, answer=OFFER)
    assert done.exit_code == 0, done.output
    assert sent.pop() == ("POST offers", SENT)
    more = (
        "--days",
        "mon-fri",
        "--from",
        "19:00",
        "--to",
        "08:00",
        "--blackout",
        "2026-12-24",
        "--valid-until",
        "2027-03-31",
    )
    more += (
        "--sector",
        "research",
        "--sector",
        "startup",
        "--data-class",
        "O",
        "--rate",
        "5/4",
        "--minimum-hold",
        "30m",
    )
    dure("offer", "create", *FLAGS, *more, "--priority-floor", "high", "--group", "partner.company", answer=OFFER)
    assert sent.pop()[1] == SENT | {
        "calendar": {
            "time_zone": "Asia/Seoul",
            "windows": [{"days": "mon-fri", "from": "19:00", "to": "08:00"}],
            "blackouts": ["2026-12-24"],
            "valid_until": "2027-03-31",
        },
        "sectors": ["research", "startup"],
        "data_classes": ["O"],
        "rate": "5/4",
        "minimum_hold": "30m",
        "priority_floor": "high",
        "group": "partner.company",
    }


def test_an_offer_is_read_from_a_file_where_dates_need_no_quotes_and_options_count_instead(
    dure: Dure, sent: list[Any], tmp_path: Path
) -> None:
    path = tmp_path / "offer.yaml"
    path.write_text(
        "site: company-1\ngpu_class: h100\nnodes: 4\nnotice: none\n"
        "calendar:\n  time_zone: Asia/Seoul\n  valid_from: 2026-12-01\n  valid_until: 2027-03-31T18:00:00\n"
        "  windows: [{days: mon-fri, from: 19:00, to: 08:00}]\n"
        "  blackouts: [2026-12-24, {from: 2026-12-30, to: 2027-01-02}]\n",
        encoding="utf-8",
    )
    done = dure("offer", "create", str(path), "--nodes", "8", "--why", "spare", answer=OFFER)
    assert done.exit_code == 0, done.output
    assert sent == [
        (
            "POST offers",
            {
                "site": "company-1",
                "gpu_class": "h100",
                "nodes": 8,
                "notice": "none",
                "calendar": {
                    "time_zone": "Asia/Seoul",
                    "valid_from": "2026-12-01",
                    "valid_until": "2027-03-31T18:00",
                    "windows": [{"days": "mon-fri", "from": 19 * 60, "to": "08:00"}],
                    "blackouts": ["2026-12-24", {"from": "2026-12-30", "to": "2027-01-02"}],
                },
                "why": "spare",
            },
        )
    ]


@pytest.mark.parametrize("text", ["- a", "just words", "site: {1: 2}\nnodes: .nan"])
def test_a_file_that_is_no_offer_is_refused_and_never_sent(
    dure: Dure, sent: list[Any], tmp_path: Path, text: str
) -> None:
    (tmp_path / "offer.yaml").write_text(text, encoding="utf-8")
    for lang in ("en", "ko"):
        done = dure("offer", "create", str(tmp_path / "offer.yaml"), answer=OFFER, lang=lang)
        assert done.exit_code == EXIT_USAGE and "offer.yaml" in done.stderr
    assert any("가" <= letter <= "힣" for letter in done.stderr) and sent == []


def test_offers_are_listed_with_how_their_windows_stand(dure: Dure, sent: list[Any]) -> None:
    done = dure("offer", "list", answer={"items": [OFFER], "next_cursor": None})
    assert done.exit_code == 0, done.output
    assert cells(done.stdout) == [
        ["ID", "SITE", "CLASS", "NODES", "STATE", "OPEN", "CHANGES", "NOTICE", "SECTORS", "HOURS"],
        ["3", "company-1", "h100", "8", "open", "yes", "2026-11-26 08:00:00 KST", "4h00m", "research,startup",
         "mon,tue 19:00-08:00 (Asia/Seoul)"],
    ]  # fmt: skip
    wide = dure(
        "offer", "list", "-o", "wide", answer={"items": [OFFER | {"notice_seconds": None}], "next_cursor": None}
    )
    assert "5/4" in wide.stdout and "none" in wide.stdout and "minseo" in wide.stdout
    assert sent[0][0] == "GET offers"


def test_an_offer_that_is_closed_says_until_when_it_lends(dure: Dure, sent: list[Any]) -> None:
    closing = OFFER | {"state": "closing", "closes_at": "2026-11-25T07:00:00.000Z"}
    done = dure("offer", "close", "3", "--why", "needed", answer=closing)
    assert sent == [("POST offers/3/close", {"why": "needed"})]
    assert "It lends until 2026-11-25 16:00:00 KST" in done.stderr
    assert "2026-11-25 16:00:00 KST까지 빌려줍니다" in dure("offer", "close", "3", answer=closing, lang="ko").stderr
    assert dure("offer", "close", "3", answer=OFFER | {"state": "closed"}).stderr == ""


def test_a_recall_shows_who_is_told_to_go_and_when(dure: Dure, sent: list[Any]) -> None:
    words = ("site", "recall", "company-1", "--gpu-class", "h100", "--nodes", "2", "--by", "2026-11-25T18:00")
    done = dure(*words, "--until", "2026-11-26T09:00:00+01:00", answer=RECALL)
    assert done.exit_code == 0, done.output
    assert sent == [
        (
            "POST sites/company-1/recalls",
            {
                "gpu_class": "h100",
                "nodes": 2,
                "by": "2026-11-25T18:00:00+09:00",
                "until": "2026-11-26T09:00:00+01:00",
                "why": "",
            },
        )
    ]
    assert cells(done.stdout) == [
        ["ID", "SITE", "CLASS", "DEADLINE", "LENT-AGAIN", "RUNS", "NODES"],
        ["5", "company-1", "h100", "2026-11-25 18:00:00 KST", "-", "1", "n1,n2"],
        [],
        ["RUN", "JOB", "GPUS", "TOLD", "CHECKPOINTS", "NODES"],
        ["12", "7", "16", "2026-11-25 17:50:00 KST", "yes", "n1,n2"],
    ]
    assert "No run has to go." in dure(*words, answer=RECALL | {"runs": []}).stderr


@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_programs_get_the_documents_and_nothing_else(dure: Dure, form: str, read: Callable[[str], Any]) -> None:
    words = ("site", "recall", "company-1", "--gpu-class", "h100", "--nodes", "2", "--by", "4h")
    for given, answer in (
        (words, RECALL),
        (("recall", "create", *words[2:]), RECALL),
        (("offer", "create", *FLAGS), OFFER),
        (("reserve", "create", "company-1", "--reason", "new cables"), RESERVATION),
    ):
        done = dure(*given, "-o", form, answer=answer)
        assert read(done.stdout) == {"items": [answer]} and done.stderr == ""
        assert dure(*given, "-o", "name", answer=answer).stdout == f"{answer['id']}\n"


def test_a_refused_recall_has_its_exit_code(dure: Dure) -> None:
    refusal = {"code": "RecallTooSoon", "detail": "too soon", "detail_ko": "너무 이릅니다", "errors": []}
    words = ("site", "recall", "company-1", "--gpu-class", "h100", "--nodes", "2", "--by", "1m")
    done = dure(*words, answer=refusal, status=422)
    assert done.exit_code == EXIT_REFUSED and "too soon" in done.stderr


def test_a_time_that_is_none_is_told_and_never_sent(dure: Dure, sent: list[Any]) -> None:
    words = ("site", "recall", "company-1", "--gpu-class", "h100", "--nodes", "2", "--by", "soon")
    done = dure(*words, answer=RECALL)
    assert done.exit_code == EXIT_USAGE and "--by 'soon'" in done.stderr and sent == []


@pytest.mark.parametrize(
    ("noun", "path", "document"), [("recall", "recalls", RECALL), ("reserve", "reservations", RESERVATION)]
)
def test_recalls_and_reservations_are_listed_and_withdrawn_alike(
    dure: Dure, sent: list[Any], noun: str, path: str, document: dict[str, Any]
) -> None:
    listed = dure(noun, "list", "company-1", answer={"items": [document], "next_cursor": None})
    withdrawn = dure(noun, "withdraw", str(document["id"]), "--why", "not needed", answer=document)
    for done in (listed, withdrawn):
        assert done.exit_code == 0, done.output
        assert cells(done.stdout)[1][:2] == [str(document["id"]), "company-1"]
    asked_to_list, asked_to_withdraw = sent
    assert asked_to_list[0] == f"GET sites/company-1/{path}"
    assert asked_to_withdraw == (f"POST {path}/{document['id']}/withdraw", {"why": "not needed"})


def test_nodes_are_reserved_by_name_by_class_and_for_a_group(dure: Dure, sent: list[Any]) -> None:
    base = ("reserve", "create", "company-1", "--reason", "new cables")
    done = dure(*base, "--node", "n1", "--node", "n2", "--from", "2026-11-25 18:00", answer=RESERVATION)
    assert done.exit_code == 0, done.output
    assert cells(done.stdout)[1] == [
        "9", "company-1", "-", "2026-11-25 18:00:00 KST", "-", "-", "0", "n1,n2", "new cables",
    ]  # fmt: skip
    dure(*base, "--gpu-class", "h100", "--nodes", "2", answer=RESERVATION)
    kept = dure(*base, "--for", "research.kaist", "--nodes", "2", answer=RESERVATION | {"group": "research.kaist"})
    assert (sent[-1][1]["group"], "research.kaist" in kept.output) == ("research.kaist", True)
    assert sent[0] == (
        "POST sites/company-1/reservations",
        {"nodes": ["n1", "n2"], "from": "2026-11-25T18:00:00+09:00", "reason": "new cables"},
    )
    assert sent[1][1] == {"gpu_class": "h100", "count": 2, "reason": "new cables"}
