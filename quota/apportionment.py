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
sibling, is dealt out in order. ``kernel`` has it compiled.
"""

from __future__ import annotations

from quota.kernel import share_out_all
from quota.tree import IntArray


def apportion(amounts: IntArray, owners: IntArray, weights: IntArray, caps: IntArray) -> IntArray:
    """Divide ``amounts[f]`` among the siblings i with ``owners[i] == f`` by their weights, up to caps.

    ``amounts`` is (family,), the others (sibling,); the answer is (sibling,) and sums to min(amount, sum of
    caps) in every family. Amounts and weights are within GPUS_MAX, weights are positive, caps not negative.
    Exact.
    """
    shares: IntArray = share_out_all(amounts, owners, weights, caps)
    return shares
