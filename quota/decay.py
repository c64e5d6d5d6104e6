"""Decayed past use: what a group used counts half as much after each half-life.

HTCondor's form, for intervals of any length: over an interval the average moves from what it was towards
what was used, ``average = beta * average + (1 - beta) * gpus`` with ``beta = 0.5 ** (interval / half-life)``.
Where an interval is split makes no difference. With it goes Kueue's entry penalty: a start is charged at
once, and once, what its GPUs would add within ``entry_ms``, so that bursts between two looks are not free.

Amounts are the average times the half-life, in whole units of 2**-FRACTION_BITS GPU-milliseconds: steady
use of g GPUs comes to g half-lives. ``beta`` is a whole number of 2**-FACTOR_BITS, computed with whole
numbers alone, so the same history gives the same amounts, and the same order, on any machine. Each update
is within one unit, and a 2**-80th, of what real numbers would give; rounding is down.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import isqrt

from quota.errors import UsageError

FRACTION_BITS = 32
FACTOR_BITS = 96
#: Binary digits of the exponent that are looked at.
_DIGITS = 96
#: With half-lives up to here two moments a millisecond apart always have different factors.
HALF_LIFE_MS_MAX = 2**60


@dataclass(frozen=True, slots=True)
class DecayedUse:
    """What past use counts at the moment ``at_ms``, in 2**-FRACTION_BITS GPU-milliseconds.

    Amounts of different groups may be compared only at the same moment.
    """

    amount: int
    at_ms: int

    @property
    def gpu_milliseconds(self) -> int:
        """The amount in whole GPU-milliseconds, rounded down."""
        return self.amount >> FRACTION_BITS


@dataclass(frozen=True, slots=True)
class Decay:
    """The rule. ``half_life_ms`` is within 1 and HALF_LIFE_MS_MAX; a start is charged for ``entry_ms``."""

    half_life_ms: int
    entry_ms: int = 0

    def __post_init__(self) -> None:
        """Raise UsageError for a half-life or an entry that cannot be."""
        if not 1 <= self.half_life_ms <= HALF_LIFE_MS_MAX or self.entry_ms < 0:
            raise UsageError(f"use cannot decay by {self.half_life_ms} ms with an entry of {self.entry_ms} ms")

    def after(self, use: DecayedUse, gpus: int, until_ms: int) -> DecayedUse:
        """Return ``use`` as it counts at ``until_ms``, when ``gpus`` were used all the time since.

        Raises UsageError for a moment before the use's or for less than no GPUs.
        """
        if until_ms < use.at_ms or gpus < 0:
            raise UsageError(f"{gpus} GPUs cannot have been used from {use.at_ms} to {until_ms}")
        kept = factor(until_ms - use.at_ms, self.half_life_ms)
        added = gpus * self.half_life_ms << FRACTION_BITS
        return DecayedUse((use.amount * kept + added * ((1 << FACTOR_BITS) - kept)) >> FACTOR_BITS, until_ms)

    def with_entry(self, use: DecayedUse, gpus: int) -> DecayedUse:
        """Return ``use`` with the entry penalty of a start of ``gpus`` GPUs. Raises UsageError for less than none."""
        if gpus < 0:
            raise UsageError(f"{gpus} GPUs cannot start")
        charged = (1 << FACTOR_BITS) - factor(self.entry_ms, self.half_life_ms)
        penalty = (gpus * self.half_life_ms << FRACTION_BITS) * charged >> FACTOR_BITS
        return DecayedUse(use.amount + penalty, use.at_ms)

    def with_spell(self, use: DecayedUse, gpus: int, start_ms: int, end_ms: int) -> DecayedUse:
        """Return ``use`` with what ``gpus`` GPUs used from ``start_ms`` to ``end_ms``, the penalty of their start included.

        Spells may be told in any order, once they are over: within a unit a spell what ``after`` and ``with_entry`` say of the
        same GPUs as time passes. What lies after the use's own moment counts as over at that moment. Less than no GPUs take
        a spell back that was told before; nothing falls below nothing. Raises UsageError for an end before the start.
        """
        if end_ms < start_ms:
            raise UsageError(f"nothing can have been used from {start_ms} to {end_ms}")
        at_end = factor(max(0, use.at_ms - end_ms), self.half_life_ms)
        at_start = factor(max(0, use.at_ms - start_ms), self.half_life_ms)
        whole = abs(gpus) * self.half_life_ms << FRACTION_BITS
        entered = whole * ((1 << FACTOR_BITS) - factor(self.entry_ms, self.half_life_ms)) >> FACTOR_BITS
        told = (whole * (at_end - at_start) + entered * at_start) >> FACTOR_BITS
        return DecayedUse(max(0, use.amount + (told if gpus > 0 else -told)), use.at_ms)

    def of_other(self, use: DecayedUse, other: Decay) -> DecayedUse:
        """Return as this rule counts it what ``other`` counted: the same number of GPUs on average."""
        return DecayedUse(use.amount * self.half_life_ms // other.half_life_ms, use.at_ms)


DAY_MS = 86_400_000
#: What counts where nobody has said otherwise: a week, as in Slurm, and ten minutes for each start.
DEFAULT_DECAY = Decay(half_life_ms=7 * DAY_MS, entry_ms=600_000)


@lru_cache(maxsize=4096)
def factor(elapsed_ms: int, half_life_ms: int) -> int:
    """Return 0.5 ** (elapsed / half-life) in 2**-FACTOR_BITS, within 2**-88; the longer, the less or equal.

    Whole half-lives shift. The rest is written in binary, and the roots of one half that its digits stand
    for are multiplied, eight digits at a time.
    """
    halvings, rest = divmod(elapsed_ms, half_life_ms)
    digits = (rest << _DIGITS) // half_life_ms
    product = 1 << FACTOR_BITS
    for byte, products in zip(digits.to_bytes(_DIGITS // 8, "big"), _products_of_roots(), strict=True):
        product = product * products[byte] >> FACTOR_BITS
    return product >> halvings


@lru_cache(maxsize=1)
def _products_of_roots() -> tuple[tuple[int, ...], ...]:
    """Return by byte of the exponent, and by its value, the product of the roots that its digits stand for."""
    roots, tables = _roots_of_half(), []
    for first in range(0, _DIGITS, 8):
        products = [1 << FACTOR_BITS]
        for root in reversed(roots[first : first + 8]):
            products += [each * root >> FACTOR_BITS for each in products]
        tables.append(tuple(products))
    return tuple(tables)


@lru_cache(maxsize=1)
def _roots_of_half() -> tuple[int, ...]:
    """Return the square root of one half, the fourth root, the eighth …, in 2**-FACTOR_BITS."""
    roots = [isqrt(1 << (2 * FACTOR_BITS - 1))]
    while len(roots) < _DIGITS:
        roots.append(isqrt(roots[-1] << FACTOR_BITS))
    return tuple(roots)
