"""Forecasts as a server's requests ask for them: made when somebody asks, kept for a while, shared by its threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from scheduler.clock import Clock
from scheduler.cycle.federation import Federation
from scheduler.cycle.forecast import DEFAULT_LIMITS, Eta, Forecast, ForecastLimits, LeftOn
from scheduler.model.ids import JobId

#: A forecast older than this is made anew, one that does not know the job in question at once: but each only after so many
#: times what it took, so that rounds for the curious stay a small part of a server's work.
KEPT_SECONDS = 60.0
KEPT_FOR_ITS_COST = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Foretold:
    """What the forecast made at ``made_ms`` says of a job; ``eta`` is None of one that it did not look at."""

    eta: Eta | None
    made_ms: int
    until_ms: int


class Forecasts:
    """The newest forecast. ``federation`` answers a federation that nobody else changes, and how long its jobs run."""

    def __init__(
        self,
        federation: Callable[[], tuple[Federation, LeftOn]],
        clock: Clock,
        limits: ForecastLimits = DEFAULT_LIMITS,
    ) -> None:
        self._federation = federation
        self._clock = clock
        self._limits = limits
        self._lock = threading.Lock()
        self._newest: Forecast | None = None
        self._made_seconds = self._cost_seconds = 0.0

    def of(self, job_id: int) -> Foretold:
        """What is said of a job. The first who asks makes the forecast; others wait for it."""
        with self._lock:
            forecast = self._newest
            if forecast is None or self._is_due(KEPT_SECONDS):
                forecast = self._make()
            eta = forecast.of(JobId(job_id))
            if eta is None and self._is_due(0.0):
                forecast = self._make()
                eta = forecast.of(JobId(job_id))
            return Foretold(eta=eta, made_ms=forecast.made_ms, until_ms=forecast.until_ms)

    def _is_due(self, after_seconds: float) -> bool:
        age_seconds = self._clock.monotonic_seconds() - self._made_seconds
        return age_seconds >= after_seconds and age_seconds > KEPT_FOR_ITS_COST * self._cost_seconds

    def _make(self) -> Forecast:
        began_seconds = self._clock.monotonic_seconds()
        federation, left_on = self._federation()
        self._newest = forecast = Forecast(federation, self._limits, left_on)
        self._made_seconds = self._clock.monotonic_seconds()
        self._cost_seconds = self._made_seconds - began_seconds
        return forecast
