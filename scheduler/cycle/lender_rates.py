"""What the lenders of a start's nodes are owed for them, by the offers under which they are lent as it starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

from scheduler.cycle.plan import Start
from scheduler.cycle.snapshot import Snapshot

#: So many GPUs at so many credits an hour each; None: what the exchange table says.
LenderRates = Sequence[tuple[int, Fraction | None]]


def lender_rates(snapshot: Snapshot, start: Start) -> LenderRates:
    """The GPUs of a start by rate, the rates ascending; nothing where no offer has a rate of its own."""
    pool = snapshot.pools.get((start.site, start.gpu_class))
    if pool is None or pool.pool.terms is None or all(each.rate is None for each in snapshot.terms):
        return ()
    gpus: Counter[Fraction | None] = Counter()
    for node, _, _, workers in start.gang:
        terms = snapshot.terms[int(pool.pool.terms[pool.index[node]])]
        gpus[terms.rate] += workers * snapshot.shapes[start.shape].gpus_per_worker
    if set(gpus) == {None}:
        return ()
    return tuple([(gpus[rate], rate) for rate in sorted(gpus, key=lambda each: (each is None, each or 0))])
