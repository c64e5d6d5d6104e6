"""When a site was heard last, by this process's own monotonic clock: the wall clock may jump, and decides no run's fate."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.clock import Clock
from scheduler.store.sites import SiteRow

#: A site is silent when it was not heard for so many of its leases.
SILENT_LEASES = 2
HEARD_SECONDS = 2.0
DRIFT_SECONDS_MIN = 5.0
DRIFT_PART = 0.1


def heard_lag_seconds(lease_seconds: float) -> float:
    """How much later than ``heard_ms`` the last answered sync may have been: not each one is written down."""
    return min(HEARD_SECONDS, lease_seconds / 4)


def over_seconds(lease_seconds: float, grace_seconds: float) -> float:
    """How long a supervised site must have been silent for a run to have ended: lease, drift and grace, counted from the
    last answered sync."""
    drift_seconds = max(DRIFT_SECONDS_MIN, DRIFT_PART * lease_seconds)
    return heard_lag_seconds(lease_seconds) + lease_seconds + drift_seconds + grace_seconds


@dataclass(frozen=True, slots=True)
class Silence:
    """How long a site was silent: ``likely_seconds`` to tell people, ``certain_seconds`` to decide about runs."""

    likely_seconds: float
    certain_seconds: float


@dataclass(slots=True)
class _Heard:
    """``mark`` is what the row said; ``seen_seconds`` when that was first seen; ``heard_seconds`` when it likely was so."""

    mark: tuple[int | None, int | None]
    seen_seconds: float
    heard_seconds: float
    looked_seconds: float


class Hearing:
    """What one follower knows of each site's silence. Not thread-safe.

    A row that changed says that its site was heard between this look and the one before. The wall clock only guesses
    when in between; a jump of it moves the guess within these bounds and no further.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sites: dict[int, _Heard] = {}

    def note(self, site: SiteRow) -> None:
        """Look at a site's row."""
        now_seconds = self._clock.monotonic_seconds()
        mark = site.heard_ms, site.heard_sequence
        known = self._sites.get(site.id)
        if known is not None and known.mark == mark:
            known.looked_seconds = now_seconds
            return
        since_look_seconds = float("inf") if known is None else now_seconds - known.looked_seconds
        ago_seconds = since_look_seconds
        if site.heard_ms is not None:
            ago_seconds = min(since_look_seconds, max(0.0, (self._clock.now_ms() - site.heard_ms) / 1000))
        self._sites[site.id] = _Heard(mark, now_seconds, now_seconds - ago_seconds, now_seconds)

    def is_heard(self, site: SiteRow) -> bool:
        """Whether the site was heard so lately that its runs count as alive and new ones may go there."""
        known = self._sites.get(site.id)
        if known is None:
            return False
        return self._clock.monotonic_seconds() - known.heard_seconds <= SILENT_LEASES * site.lease_seconds

    def silence(self, site: SiteRow) -> Silence:
        """How long the site has been silent; for certain only while this process watched."""
        known, now_seconds = self._sites[site.id], self._clock.monotonic_seconds()
        return Silence(now_seconds - known.heard_seconds, now_seconds - known.seen_seconds)
