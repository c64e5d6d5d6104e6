"""A quantum of standing as a loop, one slice at a time: slow, obvious, and what ``standing`` must equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OracleQuantum:
    """What one quantum came to, with the meanings of ``standing.Quantum``."""

    held: list[int]
    borrowed: list[int]
    lent: list[int]
    standing: list[int]


def share_surge_oracle(standing: Sequence[int], shares: Sequence[int], demand: Sequence[int]) -> OracleQuantum:
    """Divide one quantum by the sentence. Takes O(slices x groups) steps."""
    groups = range(len(standing))
    now = list(standing)
    held = [min(demand[each], shares[each]) for each in groups]
    borrowed, lent = [0] * len(now), [0] * len(now)
    while True:
        borrowers = [each for each in groups if held[each] < demand[each]]
        lenders = [each for each in groups if demand[each] + lent[each] < shares[each]]
        if not borrowers or not lenders:
            return OracleQuantum(held, borrowed, lent, now)
        borrower = max(borrowers, key=lambda each: (now[each], -each))
        lender = min(lenders, key=lambda each: (now[each], each))
        held[borrower] += 1
        borrowed[borrower] += 1
        lent[lender] += 1
        now[borrower] -= 1
        now[lender] += 1
