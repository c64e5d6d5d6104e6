"""The bad-node memory's rule in its own words, slow and obvious."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from scheduler.model.node_fault import INCIDENT_MS, WINDOW_MS, Failure


def is_bad_by_hand(failures: Sequence[Failure], now_ms: int, trusted_ms: int | None) -> bool:
    """The rule's own words: incidents one after the other, then everybody is thought away once."""
    left = sorted(
        (
            each
            for each in failures
            if now_ms - each.at_ms < WINDOW_MS
            and each.at_ms <= now_ms
            and (trusted_ms is None or each.at_ms > trusted_ms)
        ),
        key=lambda each: each.at_ms,
    )
    incidents: list[list[Failure]] = []
    while left:
        together = [each for each in left if each.at_ms - left[0].at_ms < INCIDENT_MS]
        incidents.append(together)
        left = [each for each in left if each not in together]

    def weight(of: list[list[Failure]]) -> Fraction:
        return sum((max(Fraction(1, each.suspects) for each in one) for one in of), Fraction(0))

    people = {each.person for each in failures}
    without = [[one for one in incidents if all(each.person != person for each in one)] for person in people]
    return weight(incidents) >= 2 and all(weight(each) >= 1 for each in without)
