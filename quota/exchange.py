"""The exchange table: what a GPU-hour of each class is worth in credits, from when on. Exact fractions.

A credit is one H100-equivalent GPU-hour. Rates are dated; GPU time is worth the rate of the moment it was
used.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from quota.errors import LedgerError

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Credits for one GPU-hour of a class, valid from a moment until the class's next rate."""

    gpu_class: str
    valid_from_ms: int
    credits_per_gpu_hour: Fraction


@dataclass(frozen=True, slots=True)
class ExchangeTable:
    """Rates by class, each class's in order of time. Build it with ``of``."""

    _rates: Mapping[str, tuple[Rate, ...]]

    @staticmethod
    def of(rates: Iterable[Rate]) -> ExchangeTable:
        """Sort rates into a table. Raises LedgerError for one that is not positive, two of one moment."""
        by_class: dict[str, list[Rate]] = {}
        for rate in rates:
            if rate.credits_per_gpu_hour <= 0:
                raise LedgerError(f"a GPU-hour of {rate.gpu_class} cannot be worth {rate.credits_per_gpu_hour} credits")
            by_class.setdefault(rate.gpu_class, []).append(rate)
        for gpu_class, of_class in by_class.items():
            of_class.sort(key=_valid_from)
            if len({rate.valid_from_ms for rate in of_class}) < len(of_class):
                raise LedgerError(f"{gpu_class} has two rates from the same moment on")
        return ExchangeTable({gpu_class: tuple(of_class) for gpu_class, of_class in by_class.items()})

    def rate(self, gpu_class: str, at_ms: int) -> Fraction | None:
        """Return the credits of one GPU-hour at a moment, None when the class has no rate yet."""
        rates = self._rates.get(gpu_class, ())
        index = bisect_right(rates, at_ms, key=_valid_from)
        return rates[index - 1].credits_per_gpu_hour if index else None

    def credits(self, gpu_class: str, gpu_milliseconds: int, start_ms: int, end_ms: int) -> Fraction | None:
        """Return the credits of GPU time used evenly over [start_ms, end_ms), None where a rate lacks.

        A negative amount (a credit or a reversal) is worth the negative. Signs and times are those of a
        ledger entry.
        """
        if end_ms < start_ms or (end_ms == start_ms and gpu_milliseconds):
            raise LedgerError(f"{gpu_milliseconds} GPU-milliseconds cannot lie between {start_ms} and {end_ms}")
        if not gpu_milliseconds:
            return Fraction(0)
        changes = [rate.valid_from_ms for rate in self._rates.get(gpu_class, ())]
        cuts = [start_ms, *(each for each in changes if start_ms < each < end_ms), end_ms]
        total = Fraction(0)
        for begin, end in pairwise(cuts):
            rate = self.rate(gpu_class, begin)
            if rate is None:
                return None
            total += rate * (end - begin)
        return total * gpu_milliseconds / (end_ms - start_ms) / HOUR_MS


def _valid_from(rate: Rate) -> int:
    return rate.valid_from_ms
