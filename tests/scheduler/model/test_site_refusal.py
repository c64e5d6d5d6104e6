"""A site that refuses a job is asked for it less and less often, never less than once an hour, and by itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scheduler.model.ids import SiteId
from scheduler.model.site_refusal import (
    MESSAGE_LENGTH_MAX,
    SiteRefusal,
    back_off_seconds,
    in_force,
    with_refusal,
)

SITES = st.sampled_from((SiteId(1), SiteId(2), SiteId(3)))


def test_each_refusal_in_a_row_makes_the_wait_twice_as_long_up_to_an_hour() -> None:
    assert [back_off_seconds(times) for times in range(1, 9)] == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert back_off_seconds(10**9) == 3600


@given(st.lists(st.tuples(SITES, st.integers(0, 10_000_000)), max_size=12))
def test_sites_are_counted_apart_and_stand_by_number(said: list[tuple[SiteId, int]]) -> None:
    known: tuple[SiteRefusal, ...] = ()
    for site, now_ms in said:
        known = with_refusal(known, site, "no", now_ms)
    assert [each.site for each in known] == sorted({site for site, _ in said})
    for each in known:
        moments = [now_ms for site, now_ms in said if site == each.site]
        assert (each.times, each.until_ms) == (len(moments), moments[-1] + back_off_seconds(len(moments)) * 1000)


def test_a_refusal_counts_until_its_moment_and_the_others_of_the_job_go_on() -> None:
    known = with_refusal((), SiteId(1), "no", 0)
    known = with_refusal(known, SiteId(2), "no", 30_000)
    for now_ms, sites in ((0, [1, 2]), (59_999, [1, 2]), (60_000, [2]), (90_000, [])):
        assert [each.site for each in in_force(known, now_ms)] == sites


def test_a_clock_that_is_set_back_by_a_little_loses_no_refusal_and_by_much_keeps_nobody_off() -> None:
    known = with_refusal((), SiteId(1), "no", 10_000_000)
    assert in_force(known, 10_000_000 - 60_000) == known
    assert in_force(known, 10_000_000 - 60_001) == ()


@given(st.lists(st.integers(0, 9_000_000), min_size=1, max_size=9), st.integers(-9_000_000, 9_000_000))
def test_however_a_clock_jumps_a_site_is_asked_after_twice_its_wait_at_the_latest(said: list[int], jumped: int) -> None:
    known: tuple[SiteRefusal, ...] = ()
    for now_ms in said:
        known = with_refusal(known, SiteId(1), "no", now_ms)
    wait_ms = back_off_seconds(len(said)) * 1000
    since_ms = said[-1] + jumped
    waited = [ms for ms in range(0, 4 * wait_ms + 1, wait_ms // 4) if in_force(known, since_ms + ms)]
    assert len(waited) * (wait_ms // 4) <= 2 * wait_ms
    if jumped == 0:
        assert waited == [0, wait_ms // 4, wait_ms // 2, wait_ms * 3 // 4]


def test_the_words_of_a_site_are_kept_in_bounds() -> None:
    (known,) = with_refusal((), SiteId(1), "x" * 1000, 0)
    assert known.message == "x" * MESSAGE_LENGTH_MAX
