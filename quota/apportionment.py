"""Whole numbers in proportion to weights: Sainte-Laguë with caps, for many families of siblings at once.

The sentence: hand out one at a time, the next to the sibling with the smallest (share + 1/2) / weight among
those below their cap; ties go to the one listed first. Sainte-Laguë is used because it is monotone: more to
hand out, a bigger weight or a bigger cap never lowers a share (Balinski and Young; largest remainder breaks
this).

The k-th unit of a sibling of weight w has the key (k - 1/2) / w, and the answer is the set of the smallest
keys. At a level L a sibling has floor(L w + 1/2) units, rounding away at most half a unit each. So the
wanted level lies between (left - n/2) / W and (left + n/2) / W for n uncapped siblings of total weight W:
the first is never too much, the second never too little unless a cap cuts it, and a sibling that the second
fills while it does not suffice is full in the answer too. What lies between the two, about two units a
sibling, is sorted and dealt out in order.
"""

from __future__ import annotations

import numpy as np

from quota.tree import IntArray


def apportion(amounts: IntArray, owners: IntArray, weights: IntArray, caps: IntArray) -> IntArray:
    """Divide ``amounts[f]`` among the siblings i with ``owners[i] == f`` by their weights, up to caps.

    ``amounts`` is (family,), the others (sibling,); the answer is (sibling,) and sums to min(amount, sum of
    caps) in every family. Amounts and weights are within GPUS_MAX, weights are positive, caps not negative.
    Exact.
    """
    wanted = _sums(caps, owners, len(amounts))
    shares = np.where((wanted <= amounts)[owners], caps, 0)
    rows = np.flatnonzero(((amounts > 0) & (wanted > amounts))[owners] & (caps > 0))
    if len(rows):
        shares[rows] = _divide(amounts, owners[rows], weights[rows], caps[rows])
    return shares


def _divide(amounts: IntArray, owners: IntArray, weights: IntArray, caps: IntArray) -> IntArray:
    """Divide where every family wants more than there is."""
    families = len(amounts)
    full = np.zeros(len(caps), dtype=np.bool_)
    while True:
        left = amounts - _sums(np.where(full, caps, 0), owners, families)
        open_count = _sums(~full, owners, families)[owners]
        open_weight = _sums(np.where(full, 0, weights), owners, families)[owners]
        twice_left = 2 * left[owners]
        enough = _units_at_level(twice_left + open_count, open_weight, weights, caps, full)
        cut = (_sums(enough, owners, families) < amounts)[owners]
        filled = cut & ~full & (enough == caps)
        if not filled.any():
            break
        full |= filled
    sure = _units_at_level(twice_left - open_count, open_weight, weights, caps, full)
    return sure + _deal(amounts - _sums(sure, owners, families), owners, weights, sure, enough - sure)


def _units_at_level(
    twice_amount: IntArray, open_weight: IntArray, weights: IntArray, caps: IntArray, full: np.ndarray
) -> IntArray:
    """Return floor(L w + 1/2) within 0 and the cap, for the level L = twice_amount / (2 open_weight)."""
    units = (twice_amount * weights + open_weight) // (2 * open_weight)
    return np.where(full, caps, np.clip(units, 0, caps))


def _deal(rest: IntArray, owners: IntArray, weights: IntArray, start: IntArray, counts: IntArray) -> IntArray:
    """Deal ``rest[f]`` more units in each family, by key, from the ``counts`` next units of each sibling."""
    sibling = np.repeat(np.arange(len(counts)), counts)
    first = np.cumsum(counts) - counts
    unit = start[sibling] + 1 + np.arange(len(sibling)) - first[sibling]
    key = (2 * unit - 1) / weights[sibling]  # doubles order these ratios exactly: see GPUS_MAX
    order = np.lexsort((key, owners[sibling]))  # stable, so that ties keep the order of listing
    family = owners[sibling[order]]
    turn = np.arange(len(family)) - np.searchsorted(family, family)
    dealt: IntArray = np.bincount(sibling[order[turn < rest[family]]], minlength=len(counts))
    return dealt


def _sums(values: np.ndarray, owners: IntArray, families: int) -> IntArray:
    """Sum ``values`` by family. Doubles hold these sums exactly: they stay below 2**53."""
    sums: IntArray = np.bincount(owners, weights=values, minlength=families).astype(np.int64)
    return sums
