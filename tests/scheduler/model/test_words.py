"""Names have words in both languages, and reasons use them."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

import scheduler
from scheduler.cycle.lent_to import Term
from scheduler.cycle.plan import StopCause
from scheduler.model.data_class import DEFAULT_POLICY, Clearance, why_not_served
from scheduler.model.job_state import EndCause, JobState, RunPhase
from scheduler.model.offer import LendingAction, LendingEnd, OfferState
from scheduler.model.reason import ReasonCode
from scheduler.model.reason_text import sentence
from scheduler.model.shape import DataClass
from scheduler.model.site import Csap, SecurityGrade, SiteState
from scheduler.model.words import WORDS, WordKind, word
from scheduler.service.jobs import JobAction


def rules() -> set[str]:
    """Every rule that can stand in the way of some job at some site."""
    flags = (False, True)
    found = set()
    for data_class, public, csap, facility, network, isolates in product(DataClass, flags, Csap, flags, flags, flags):
        grade = SecurityGrade(
            csap=csap, state_facility=facility, classified_network=network, isolates_users=isolates, trust_domain="a"
        )
        clearance = Clearance(data_class=data_class, public_sector=public, trust_domain="b")
        found.add(why_not_served(DEFAULT_POLICY, clearance, grade))
    return {rule for rule in found if rule is not None}


def events_of_jobs() -> set[str]:
    """The kinds of events that the service and the store write about jobs and runs."""
    root = Path(scheduler.__file__).parent
    text = "".join(
        path.read_text(encoding="utf-8") for name in ("service", "store") for path in (root / name).glob("*.py")
    )
    return set(re.findall(r'(?:\(|event\(\s*)"((?:job|run)\.[a-z_]+)"', text))


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (WordKind.STATE, {*JobState, *RunPhase, *SiteState, *OfferState, *LendingEnd}),
        (WordKind.CAUSE, {*EndCause, *StopCause}),
        (WordKind.ACTION, {*JobAction, *LendingAction}),
        (WordKind.RULE, rules()),
        (WordKind.TERM, set(Term)),
        (WordKind.EVENT, events_of_jobs()),
        (WordKind.ACTOR, {"scheduler", "agent"}),
    ],
)
def test_every_name_has_a_word_in_both_languages(kind: WordKind, names: set[str]) -> None:
    assert {str(name) for name in names} == set(WORDS[kind])
    for korean, english in WORDS[kind].values():
        assert any("가" <= letter <= "힣" for letter in korean)
        assert english.isascii() and english


def test_a_reason_speaks_in_words_and_not_in_names() -> None:
    text = sentence(ReasonCode.DATA_CLASS_NOT_ALLOWED, {"data_class": "S", "rule": "trust_domain"}, "ko")
    assert "걸린 규칙: 신뢰 영역" in text
    assert "node_lost" not in sentence(ReasonCode.STOPPING, {"cause": "node_lost"}, "en")


def test_a_name_that_is_not_known_stands_as_it_is_and_a_site_s_name_is_never_translated() -> None:
    assert word(WordKind.CAUSE, "melted", "ko") == "melted"
    assert word(WordKind.ACTOR, "agent:site-1", "ko") == "에이전트 site-1"
