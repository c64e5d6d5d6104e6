"""Law 5 for one node, by hand, and the round's columns against it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lendings import HOUR_MS, NOW_MS, lending_federations, offer_of

from scheduler.cycle.federation import Federation
from scheduler.cycle.round import Round
from scheduler.cycle.stay import NEVER_MS, PLAIN, Stay, Terms, may_stay
from scheduler.model.offer import Sector
from scheduler.model.shape import DataClass

LEAST_MS = 600_000


def may(stay: Stay, until_ms: int, terms: Terms = PLAIN, *, preemptible: bool = True) -> bool:
    return may_stay(terms, NOW_MS + until_ms, stay, preemptible=preemptible, now_ms=NOW_MS, minimum_run_ms=LEAST_MS)


def test_a_run_that_is_over_in_time_may_stay_and_one_millisecond_less_is_too_little() -> None:
    assert may(Stay(HOUR_MS), HOUR_MS)
    assert not may(Stay(HOUR_MS), HOUR_MS - 1)
    assert not may(Stay(None), HOUR_MS)


def test_one_that_saves_its_state_needs_its_minimum_run_and_the_time_to_save() -> None:
    assert may(Stay(None, 5_000), LEAST_MS + 5_000)
    assert not may(Stay(None, 5_000), LEAST_MS + 4_999)


def test_one_that_saves_its_state_needs_the_offer_s_hold() -> None:
    held = Terms(hold_ms=2 * HOUR_MS)
    assert may(Stay(None, 0), 2 * HOUR_MS, held)
    assert not may(Stay(None, 0), 2 * HOUR_MS - 1, held)


def test_work_that_cannot_be_preempted_wants_firm_nodes_for_all_its_time() -> None:
    loose = Terms(firm=False)
    assert may(Stay(HOUR_MS, 0), HOUR_MS, preemptible=False)
    assert not may(Stay(HOUR_MS, 0), HOUR_MS - 1, preemptible=False)
    assert not may(Stay(HOUR_MS, 0), NEVER_MS - NOW_MS, loose, preemptible=False)
    assert may(Stay(HOUR_MS, 0), NEVER_MS - NOW_MS, loose)


@pytest.mark.parametrize(
    ("walltime_ms", "rounded_ms"),
    [(1, 60_000), (60_000, 60_000), (HOUR_MS, HOUR_MS), (HOUR_MS + 1, HOUR_MS + 300_000),
     (6 * HOUR_MS + 1, 6 * HOUR_MS + 900_000), (24 * HOUR_MS + 1, 25 * HOUR_MS), (30 * 24 * HOUR_MS, 30 * 24 * HOUR_MS)],
)  # fmt: skip
def test_walltimes_are_rounded_up_in_grains(walltime_ms: int, rounded_ms: int) -> None:
    assert Stay.of(walltime_ms, None) == Stay(rounded_ms)


def test_terms_are_those_of_the_offer() -> None:
    offer = offer_of(
        sectors=(Sector.PUBLIC,),
        data_classes=(DataClass.OPEN,),
        priority_floor=0,
        minimum_hold_seconds=60,
        notice_seconds=None,
    )
    terms = Terms.of(offer, endless=True)
    assert terms.firm and terms.hold_ms == 60_000
    assert not Terms.of(offer, endless=False).firm
    assert terms.lets_in(Sector.PUBLIC, DataClass.OPEN, ()) and not terms.lets_in(Sector.RESEARCH, DataClass.OPEN, ())
    assert not terms.lets_in(Sector.PUBLIC, DataClass.SENSITIVE, ()) and not terms.lets_in(None, DataClass.OPEN, ())
    assert terms.serves(0) and not terms.serves(-1)


@given(lending_federations(), st.sampled_from((-100, 0, 100)))
def test_columns_say_of_every_node_what_the_law_says_of_it(federation: Federation, priority: int) -> None:
    snapshot = federation.snapshot()
    round_ = Round(snapshot)
    for waiting in snapshot.waiting:
        for number, pool in enumerate(round_.site_pools):
            usable = round_.usable(number, waiting.key, priority)
            for at, node in enumerate(pool.node_ids):
                said = snapshot.nodes[node].healthy and snapshot.may_use(pool, at, waiting.key, priority)
                assert (usable is None or bool(usable[at])) == said
