"""Standing in a simulation: who lends and who surges is looked at after every instant, so that it counts exactly."""

from __future__ import annotations

from quota.standing import Standing
from scheduler.cycle.earning import changed_rates, rates_now
from scheduler.cycle.federation import Federation
from scheduler.simulator.policy import Policy


class StandingBook:
    """Keeps it where the policy says so."""

    def __init__(self, policy: Policy) -> None:
        self._is_kept = policy.standing

    def look(self, federation: Federation) -> None:
        """Have what counts from now on count from now on: from the moment of which the federation's snapshots speak."""
        if not self._is_kept:
            return
        snapshot = federation.snapshot()
        now_ms, known = snapshot.now_ms, snapshot.standing
        for key, rates in changed_rates(known, rates_now(snapshot)).items():
            standing = known.kept.get(key, Standing.none(now_ms))
            federation.put_standing(*key, standing.at(known.decay, now_ms).counting(*rates))
