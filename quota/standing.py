"""Standing: what lending earns, and what a surge above the own share costs.

Karma (Vuppalapati et al., OSDI 2023), one quantum at a time. A group that asks for less than its share lends
the rest; one that asks for more wants to surge. One slice (a GPU for a quantum) after the other goes from
the lender of least standing to the borrower of most, costs the borrower one credit and earns the lender
one, until nothing is left to lend or nobody wants more (ties: who is listed first). So credits are neither
made nor lost, nobody gets less than the lesser of demand and share, nothing lent lies idle while somebody
wants it, and who borrowed much lately makes way for who lent.

Standing may fall below zero: without credit one comes last, but what nobody else wants is not wasted.
(Karma stops borrowers without credits and gives all so many at first that none runs out; this is the same
without that number.) What belongs to nobody is not shared here but by ``fair_share``.

The one-by-one loop is ``standing_oracle``. Here all slices go at once: a borrower of standing c that wants w
slices would get its slices at standings c, c - 1, …, c - w + 1, so the borrowers' part of s slices is the s
highest of all these numbers, which a sort finds; the lenders' part mirrors it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quota.errors import UsageError
from quota.tree import GPUS_MAX, IntArray

#: Standings stay within this, far beyond all GPUs of a nation for a century of quanta of a minute.
STANDING_MAX = 2**60


@dataclass(frozen=True, slots=True, eq=False)
class Quantum:
    """What one quantum came to, by group: slices ``held``, of these ``borrowed``, ``lent`` ones that others
    use, and ``standing`` after it. Int64, one entry a group, read-only."""

    held: IntArray
    borrowed: IntArray
    lent: IntArray
    standing: IntArray


def share_surge(standing: IntArray, shares: IntArray, demand: IntArray) -> Quantum:
    """Divide one quantum. All arguments are (group,), in slices; O(n log n), exact.

    Raises UsageError for arrays of different lengths, shares or demands outside 0 and GPUS_MAX, or a
    standing that would leave STANDING_MAX.
    """
    if not len(standing) == len(shares) == len(demand):
        raise UsageError("standing, shares and demand are not of the same groups")
    for amounts in (shares, demand):
        if len(amounts) and not 0 <= int(amounts.min()) <= int(amounts.max()) <= GPUS_MAX:
            raise UsageError(f"shares and demands lie within 0 and {GPUS_MAX}")
    if len(standing) and int(np.abs(standing).max()) > STANDING_MAX - GPUS_MAX:
        raise UsageError(f"a standing would leave {STANDING_MAX}")
    spare, wanted = np.maximum(shares - demand, 0), np.maximum(demand - shares, 0)
    slices = min(int(spare.sum()), int(wanted.sum()))
    borrowed = _highest(standing, wanted, slices)
    lent = _highest(-standing, spare, slices)
    quantum = Quantum(np.minimum(demand, shares) + borrowed, borrowed, lent, standing - borrowed + lent)
    for array in (quantum.held, quantum.borrowed, quantum.lent, quantum.standing):
        array.setflags(write=False)
    return quantum


def _highest(tops: IntArray, counts: IntArray, amount: int) -> IntArray:
    """Return how many of the ``amount`` highest numbers each group has, of top, top - 1, …, top - count + 1.

    Of equal numbers those of the groups listed first. ``amount`` is at most the sum of counts.
    """
    if amount == 0:
        return np.zeros(len(tops), dtype=np.int64)
    # Numbers above a level, as it falls: each group adds one a step from its top down to its top - count.
    turns = np.concatenate((tops, tops - counts))
    steps = np.concatenate((np.ones_like(tops), -np.ones_like(tops)))[np.argsort(-turns, kind="stable")]
    turns = -np.sort(-turns)
    rate = np.cumsum(steps)
    above = np.concatenate(([0], np.cumsum(rate[:-1] * -np.diff(turns))))
    # The level lies in the last span that starts with no more than the amount above it.
    span = int(np.searchsorted(above, amount, side="right")) - 1
    spread = int(rate[span])
    level = int(turns[span]) - ((amount - int(above[span])) // spread if spread else 0)
    taken = np.clip(tops - level, 0, counts)
    at_level = np.flatnonzero((tops - counts < level) & (level <= tops))
    taken[at_level[: amount - int(taken.sum())]] += 1
    return taken
