"""The ledger's arithmetic: double entry of GPU time, consumer group against provider site.

A debit is positive and a credit negative, in GPU-milliseconds, so that every posting sums to zero. Entries
are never edited: when better times of a run become known, its old interval is reversed and the new one
charged. The reversal keeps the old interval's times, so that the sums of a period are those of the
intervals that are true.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from quota.errors import LedgerError


class AccountKind(StrEnum):
    """Whose account it is."""

    CONSUMER = "consumer"  #: a group
    PROVIDER = "provider"  #: a site


@dataclass(frozen=True, slots=True)
class Account:
    """One account: the id is a group's or a site's, by kind."""

    kind: AccountKind
    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInterval:
    """A run's use of GPUs, as its agent recorded it: [start_ms, end_ms) on all its GPUs."""

    run_id: int
    group_id: int
    site_id: int
    gpu_class: str
    gpus: int
    start_ms: int
    end_ms: int

    @property
    def gpu_milliseconds(self) -> int:
        """GPUs times duration."""
        return self.gpus * (self.end_ms - self.start_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One side of a posting."""

    account: Account
    run_id: int
    gpu_class: str
    gpu_milliseconds: int  #: debit positive, credit negative
    start_ms: int
    end_ms: int


Posting = tuple[Entry, Entry]


def charge(interval: RunInterval) -> Posting:
    """Return (debit of the group, credit of the site). Raises LedgerError for an impossible interval."""
    if interval.end_ms < interval.start_ms or interval.gpus < 0:
        raise LedgerError(
            f"run {interval.run_id} cannot have used {interval.gpus} GPUs from {interval.start_ms} to {interval.end_ms}"
        )
    return _posting(interval, interval.gpu_milliseconds)


def correction(entered: RunInterval, known: RunInterval) -> tuple[Posting, ...]:
    """Return the postings from what was entered to what is known: none, or a reversal and a charge.

    Raises LedgerError when the two are not of the same run.
    """
    if entered.run_id != known.run_id:
        raise LedgerError(f"run {known.run_id} cannot correct run {entered.run_id}")
    if entered == known:
        return ()
    return _posting(entered, -entered.gpu_milliseconds), charge(known)


def _posting(interval: RunInterval, gpu_milliseconds: int) -> Posting:
    def side(account: Account, amount: int) -> Entry:
        return Entry(
            account=account,
            run_id=interval.run_id,
            gpu_class=interval.gpu_class,
            gpu_milliseconds=amount,
            start_ms=interval.start_ms,
            end_ms=interval.end_ms,
        )

    debit = side(Account(AccountKind.CONSUMER, interval.group_id), gpu_milliseconds)
    credit = side(Account(AccountKind.PROVIDER, interval.site_id), -gpu_milliseconds)
    return debit, credit
