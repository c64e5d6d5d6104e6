"""What would start a waiting job reads as a sentence in both languages."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.model.counterfactual_text import alternative_text, counterfactual_text

WANTED: dict[str, Any] = {
    "site": "s1", "gpu_class": "h100", "nodes": 3, "gpus_per_node": 8, "domain": "", "raises": [], "preemptible": False,
    "open_site": False, "walltime_seconds": None, "lent": False, "term": None, "opens_at": None,
}  # fmt: skip
OTHER: dict[str, Any] = {
    "kind": "fewer_workers", "site": "s1", "gpu_class": "h100", "workers": 3, "gpus": 24, "gpus_asked": 32, "at": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "english", "korean"),
    [
        (
            {},
            "It would start if s1 had 3 more free place(s) of 8 h100 GPU(s).",
            "시작 조건: s1에 h100 8장짜리 빈자리 3개 추가.",
        ),
        (
            {"lent": True, "term": "sector", "opens_at": "2026-11-27T09:00:00.000Z"},
            "It would start if s1 lent it 3 more free place(s) of 8 h100 GPU(s) "
            "(what keeps it out now: the sector; it lends more at 2026-11-27 18:00:00 KST).",
            "시작 조건: s1에서 h100 8장짜리 빈자리 3개를 이 작업에 더 빌려줌"
            " (걸린 조건: 부문; 다시 빌려주는 때: 2026-11-27 18:00:00 KST).",
        ),
        (
            {"lent": True},
            "It would start if s1 lent it 3 more free place(s) of 8 h100 GPU(s).",
            "시작 조건: s1에서 h100 8장짜리 빈자리 3개를 이 작업에 더 빌려줌.",
        ),
    ],
)
def test_a_place_that_would_have_to_be_lent_is_told_apart_from_one_that_would_have_to_be_there(
    changes: dict[str, Any], english: str, korean: str
) -> None:
    assert counterfactual_text(WANTED | changes, "en") == english
    assert counterfactual_text(WANTED | changes, "ko") == korean


@pytest.mark.parametrize(
    ("changes", "english", "korean"),
    [
        (
            {},
            "It would start now with 24 instead of 32 GPUs (3 worker(s)) on h100 at s1.",
            "GPU 32장 대신 24장(작업자 3개)이면 지금 시작합니다(s1, h100).",
        ),
        (
            {"kind": "other_gpu_class", "gpu_class": "h200"},
            "It would start now on h200 at s1.",
            "h200이면 지금 시작합니다(s1).",
        ),
        (
            {"kind": "opening", "at": "2026-11-27T09:00:00.000Z"},
            "It could start at 2026-11-27 18:00:00 KST, when s1 begins to lend more h100.",
            "2026-11-27 18:00:00 KST에 s1이(가) h100을(를) 빌려주기 시작하면 시작할 수 있습니다.",
        ),
    ],
)
def test_each_alternative_is_a_sentence(changes: dict[str, Any], english: str, korean: str) -> None:
    assert alternative_text(OTHER | changes, "en") == english
    assert alternative_text(OTHER | changes, "ko") == korean
