"""The ledger's arithmetic: double entry of GPU time, consumer group against provider site.

What a run did after its last checkpoint is lost when it is ended for others: then it is not its group that stands
against the provider, but the account of that group's lost work.

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
    LOST = "lost"  #: a group's work that was destroyed for others: its provider is credited, and no group charged


@dataclass(frozen=True, slots=True)
class Account:
    """One account: the id is a site's where it is a provider's, else a group's."""

    kind: AccountKind
    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInterval:
    """A run's use of GPUs, as its agent recorded it: [start_ms, end_ms) on all its GPUs.

    What it did from ``lost_from_ms`` on was destroyed when it was ended for others; None where nothing was.
    """

    run_id: int
    group_id: int
    site_id: int
    gpu_class: str
    gpus: int
    start_ms: int
    end_ms: int
    lost_from_ms: int | None = None

    @property
    def gpu_milliseconds(self) -> int:
        """GPUs times duration."""
        return self.gpus * (self.end_ms - self.start_ms)

    @property
    def kept_until_ms(self) -> int:
        """Until when its work is of use to its group."""
        return self.end_ms if self.lost_from_ms is None else self.lost_from_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One side of a posting."""

    account: Account
    run_id: int
    gpu_class: str
    gpu_milliseconds: int  #: debit positive, credit negative
    start_ms: int
    end_ms: int


#: The debits, then the credit.
Posting = tuple[Entry, ...]


def charge(interval: RunInterval) -> Posting:
    """Return the debits, of the group and of its lost work where there is any, and the credit of the site.

    Raises LedgerError for an impossible interval.
    """
    if not interval.start_ms <= interval.kept_until_ms <= interval.end_ms or interval.gpus < 0:
        raise LedgerError(
            f"run {interval.run_id} cannot have used {interval.gpus} GPUs from {interval.start_ms} to {interval.end_ms}"
        )
    return _posting(interval, 1)


def correction(entered: RunInterval, known: RunInterval) -> tuple[Posting, ...]:
    """Return the postings from what was entered to what is known: none, or a reversal and a charge.

    Raises LedgerError when the two are not of the same run.
    """
    if entered.run_id != known.run_id:
        raise LedgerError(f"run {known.run_id} cannot correct run {entered.run_id}")
    if entered == known:
        return ()
    return _posting(entered, -1), charge(known)


def _posting(interval: RunInterval, sign: int) -> Posting:
    def side(kind: AccountKind, id_: int, start_ms: int, end_ms: int, sign: int) -> Entry:
        return Entry(
            account=Account(kind, id_),
            run_id=interval.run_id,
            gpu_class=interval.gpu_class,
            gpu_milliseconds=sign * interval.gpus * (end_ms - start_ms),
            start_ms=start_ms,
            end_ms=end_ms,
        )

    start_ms, kept_until_ms, end_ms = interval.start_ms, interval.kept_until_ms, interval.end_ms
    sides: list[Entry] = []
    if interval.lost_from_ms is None or kept_until_ms > start_ms:
        sides.append(side(AccountKind.CONSUMER, interval.group_id, start_ms, kept_until_ms, sign))
    if interval.lost_from_ms is not None:
        sides.append(side(AccountKind.LOST, interval.group_id, kept_until_ms, end_ms, sign))
    return *sides, side(AccountKind.PROVIDER, interval.site_id, start_ms, end_ms, -sign)
