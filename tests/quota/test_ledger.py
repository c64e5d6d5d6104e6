"""Double entry: who is debited, who is credited, and what a correction leaves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quota.errors import LedgerError
from quota.ledger import Account, AccountKind, Entry, Posting, RunInterval, charge, correction

GROUP, SITE = Account(AccountKind.CONSUMER, 4), Account(AccountKind.PROVIDER, 9)


def interval(start_ms: int, end_ms: int, gpus: int = 8, run_id: int = 1) -> RunInterval:
    return RunInterval(
        run_id=run_id, group_id=4, site_id=9, gpu_class="h100", gpus=gpus, start_ms=start_ms, end_ms=end_ms
    )


INTERVALS = st.builds(
    lambda start, length, gpus: interval(start, start + length, gpus),
    st.integers(0, 20), st.integers(0, 20), st.integers(0, 16),
)  # fmt: skip


def sums(postings: Iterable[Posting]) -> Counter[tuple[Account, int, int]]:
    """GPU-milliseconds by account and the interval that they lie in."""
    found: Counter[tuple[Account, int, int]] = Counter()
    for posting in postings:
        for each in posting:
            found[each.account, each.start_ms, each.end_ms] += each.gpu_milliseconds
    return found


def test_the_group_is_debited_and_the_site_credited_what_all_gpus_together_took() -> None:
    debit, credit = charge(interval(1_000, 3_500))
    shared = {"run_id": 1, "gpu_class": "h100", "start_ms": 1_000, "end_ms": 3_500}
    assert debit == Entry(account=GROUP, gpu_milliseconds=20_000, **shared)
    assert credit == Entry(account=SITE, gpu_milliseconds=-20_000, **shared)


def test_a_correction_takes_back_the_old_interval_and_charges_the_new_one() -> None:
    reversal, charged = correction(interval(0, 100), interval(20, 90))
    assert [(each.account, each.gpu_milliseconds, each.start_ms, each.end_ms) for each in reversal + charged] == [
        (GROUP, -800, 0, 100),
        (SITE, 800, 0, 100),
        (GROUP, 560, 20, 90),
        (SITE, -560, 20, 90),
    ]


def test_what_was_right_is_not_corrected_and_no_run_corrects_another() -> None:
    assert correction(interval(0, 100), interval(0, 100)) == ()
    with pytest.raises(LedgerError):
        correction(interval(0, 100), interval(0, 100, run_id=2))


def test_an_interval_that_ends_before_it_starts_or_less_than_no_gpu_is_a_fault() -> None:
    for wrong in (interval(5, 4), interval(0, 1, gpus=-1)):
        with pytest.raises(LedgerError):
            charge(wrong)
    assert charge(interval(5, 5))[0].gpu_milliseconds == 0


@given(st.lists(INTERVALS, min_size=1, max_size=6))
def test_however_often_times_are_corrected_the_last_ones_are_charged_and_debits_equal_credits(
    known: list[RunInterval],
) -> None:
    postings = [charge(known[0])]
    for before, after in pairwise(known):
        postings += correction(before, after)
    assert all(debit.gpu_milliseconds + credit.gpu_milliseconds == 0 for debit, credit in postings)
    last = known[-1]
    left = {key: amount for key, amount in sums(postings).items() if amount}
    used = last.gpus * (last.end_ms - last.start_ms)
    times = (last.start_ms, last.end_ms)
    assert left == ({(GROUP, *times): used, (SITE, *times): -used} if used else {})
