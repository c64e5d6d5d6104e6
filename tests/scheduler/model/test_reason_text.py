"""Every reason speaks both languages and never fails to speak."""

from __future__ import annotations

import string

import pytest

from scheduler.model.reason import ReasonCode, ReasonKind
from scheduler.model.reason_text import TEXTS, kind_of, sentence


def _fields(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def test_every_code_has_a_text_in_both_languages() -> None:
    assert set(TEXTS) == set(ReasonCode)
    for _, korean, english in TEXTS.values():
        assert any("가" <= letter <= "힣" for letter in korean)
        assert english.isascii()


NOES = [code for code, (kind, _, _) in TEXTS.items() if kind not in (ReasonKind.WAITING, ReasonKind.ENDED)]


@pytest.mark.parametrize("code", NOES)
def test_every_no_says_what_may_be_done_about_it(code: ReasonCode) -> None:
    _, korean, english = TEXTS[code]
    assert any(part in english for part in (":", ";", "`")), english
    assert any(part in korean for part in ("십시오", "`", "{problem_ko}")), korean


@pytest.mark.parametrize("code", list(ReasonCode))
def test_both_languages_give_the_same_numbers(code: ReasonCode) -> None:
    _, korean, english = TEXTS[code]
    without_language = {name.removesuffix("_ko") for name in _fields(korean)}
    assert without_language == _fields(english)


@pytest.mark.parametrize("code", list(ReasonCode))
def test_a_sentence_with_its_numbers_missing_is_still_a_sentence(code: ReasonCode) -> None:
    assert "{" not in sentence(code, {}, "ko")
    assert sentence(code, {}, "en")
    assert kind_of(code) is TEXTS[code][0]


@pytest.mark.parametrize(
    ("number", "read"),
    [
        ("2026-11-24T18:30:05.000Z", "2026-11-25 03:30:05 KST"),
        ("2026-11-24T18:30:05.999Z", "2026-11-25 03:30:05 KST"),
        ("9999-99-99T18:30:05.000Z", "9999-99-99T18:30:05.000Z"),
        ("tomorrow", "tomorrow"),
    ],
)
def test_moments_stand_in_korean_time_in_the_sentence(number: str, read: str) -> None:
    for language in ("en", "ko"):
        assert read in sentence(ReasonCode.TOKEN_EXPIRED, {"expired_at": number}, language)


def test_numbers_and_field_stand_in_the_sentence() -> None:
    text = sentence(ReasonCode.INVALID_FIELD, {"problem": "too long {x}"}, "en", field="name")
    assert text == "name cannot be used: too long {x}"


def test_a_missing_limit_shows_as_a_dash() -> None:
    assert "limit is -" in sentence(ReasonCode.WAITING_FOR_QUOTA, {"limit": None}, "en")
