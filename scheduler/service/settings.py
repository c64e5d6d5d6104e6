"""What an operator of the federation may set. Every value has a default that suits one machine."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.cycle.facts import PreemptionRules

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Limits and durations of one process."""

    #: requests a second and token, and how many may come at once
    rate_per_second: float = 200.0
    rate_burst: int = 1000
    body_bytes_max: int = 16 * MIB
    content_bytes_max: int = 256 * MIB
    #: largest archive of outputs where neither the group nor one above it says another
    output_bytes_max: int = 256 * MIB
    token_lifetime_seconds_default: int = 90 * 86_400
    enrolment_lifetime_seconds: int = 24 * 3600
    #: how long answers are kept for repeated requests
    idempotency_seconds: int = 48 * 3600
    #: what another process changed is seen after this at the latest, even when the bus is away
    staleness_seconds_max: float = 1.0
    #: the leading scheduler's lease, and how often it looks even when nobody wakes it
    leadership_seconds: float = 10.0
    round_interval_seconds: float = 1.0
    #: how often the leading scheduler works out the certificate, at most
    certificate_seconds: int = 60
    #: how often the leading scheduler looks who lends and who holds more than its share, at most
    standing_seconds: int = 60
    #: a run is not ended for another job before it has run for so long
    minimum_run_seconds: int = 600
    #: a waiting agent's request is answered after this at the latest
    sync_wait_seconds_max: float = 20.0
    #: cookies only over HTTPS; off for a server on this machine alone
    secure_cookies: bool = False

    @property
    def preemption(self) -> PreemptionRules:
        """What rounds go by when they end runs."""
        return PreemptionRules(minimum_run_ms=self.minimum_run_seconds * 1000)
