"""What lenders whose offers name a rate are owed for the GPU time that ran on their nodes."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import chain

from scheduler.cycle.lender_rates import LenderRates, lender_rates
from scheduler.cycle.plan import Plan
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.ids import JobId
from scheduler.model.offer import Offer
from scheduler.simulator.history import Segment


class Credits:
    """Rates of every start, as production fixes them when a run starts. ``is_any``: some offer has a rate of its own."""

    def __init__(self, offers: Iterable[Offer]) -> None:
        self.is_any = any(each.rate is not None for each in offers)
        self._rates: dict[tuple[JobId, int], LenderRates] = {}

    def note(self, snapshot: Snapshot, plan: Plan, now_ms: int) -> None:
        """Fix the rates of what a plan starts."""
        for start in chain(plan.redeemed, plan.starts):
            self._rates[start.job, now_ms] = lender_rates(snapshot, start)

    def owed(self, segments: Iterable[Segment]) -> Fraction:
        """Credits in all: Σ GPUs · hours · rate. Nodes without a rate of their own, which the table prices, are left out."""
        return sum(
            (credits_of(each, self._rates.get((each.job.id, each.start_ms), ())) for each in segments), Fraction(0)
        )


def credits_of(segment: Segment, rates: LenderRates) -> Fraction:
    """Credits for one run segment."""
    lasts_ms = segment.end_ms - segment.start_ms
    return sum((gpus * lasts_ms * rate for gpus, rate in rates if rate is not None), Fraction(0)) / 3_600_000
