"""What was destroyed for others is charged to no group, and its provider is credited all the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota.errors import LedgerError
from quota.ledger import Account, AccountKind, Posting, RunInterval, charge, correction

GROUP, LOST = Account(AccountKind.CONSUMER, 4), Account(AccountKind.LOST, 4)
SITE = Account(AccountKind.PROVIDER, 9)


def interval(start_ms: int, end_ms: int, lost_from_ms: int | None = None, gpus: int = 8) -> RunInterval:
    return RunInterval(
        run_id=1, group_id=4, site_id=9, gpu_class="h100", gpus=gpus, start_ms=start_ms, end_ms=end_ms,
        lost_from_ms=lost_from_ms,
    )  # fmt: skip


@st.composite
def intervals(draw: st.DrawFn) -> RunInterval:
    start, kept, lost = (draw(st.integers(0, 20)) for _ in range(3))
    lost_from = draw(st.sampled_from([None, start + kept]))
    return interval(start, start + kept + lost, lost_from, draw(st.integers(0, 4)))


def by_millisecond(postings: Iterable[Posting]) -> Counter[tuple[AccountKind, int, int]]:
    """GPUs on (kind of account, its id, millisecond), added up one by one."""
    found: Counter[tuple[AccountKind, int, int]] = Counter()
    for posting in postings:
        for entry in posting:
            length = entry.end_ms - entry.start_ms
            for moment in range(entry.start_ms, entry.end_ms):
                found[entry.account.kind, entry.account.id, moment] += entry.gpu_milliseconds // length
    return Counter({key: gpus for key, gpus in found.items() if gpus})


def test_the_group_is_charged_until_its_last_checkpoint_and_the_site_credited_until_the_end() -> None:
    told = [(each.account, each.gpu_milliseconds, each.start_ms, each.end_ms) for each in charge(interval(10, 60, 40))]
    assert told == [(GROUP, 240, 10, 40), (LOST, 160, 40, 60), (SITE, -400, 10, 60)]


def test_a_run_that_lost_everything_has_no_entry_of_its_group() -> None:
    assert [each.account for each in charge(interval(10, 60, 10))] == [LOST, SITE]
    assert [each.account for each in charge(interval(10, 10, 10))] == [LOST, SITE]


@pytest.mark.parametrize("lost_from_ms", [9, 61])
def test_nothing_is_lost_outside_of_the_run(lost_from_ms: int) -> None:
    with pytest.raises(LedgerError):
        charge(interval(10, 60, lost_from_ms))


@given(st.lists(intervals(), min_size=1, max_size=5))
def test_whatever_is_corrected_each_millisecond_is_on_one_account_and_every_posting_comes_to_nothing(
    known: list[RunInterval],
) -> None:
    postings = [charge(known[0])]
    for before, after in pairwise(known):
        postings += correction(before, after)
    assert all(sum(entry.gpu_milliseconds for entry in posting) == 0 for posting in postings)
    last, expected = known[-1], Counter[tuple[AccountKind, int, int]]()
    for moment in range(last.start_ms, last.end_ms):
        lost = last.lost_from_ms is not None and moment >= last.lost_from_ms
        expected[AccountKind.LOST if lost else AccountKind.CONSUMER, 4, moment] += last.gpus
        expected[AccountKind.PROVIDER, 9, moment] -= last.gpus
    assert by_millisecond(postings) == Counter({key: gpus for key, gpus in expected.items() if gpus})
