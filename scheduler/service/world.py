"""The federation as a server's requests see it: a snapshot that is at most a moment old."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from scheduler.clock import Clock
from scheduler.cycle.decide import place
from scheduler.cycle.facts import DEFAULT_PREEMPTION, ClassKey, PreemptionRules
from scheduler.cycle.federation import Federation
from scheduler.cycle.plan import Verdict
from scheduler.cycle.prediction import RunTimes
from scheduler.cycle.round import Round
from scheduler.cycle.snapshot import Snapshot
from scheduler.cycle.verdicts import Verdicts
from scheduler.model.data_class import DataClassPolicy
from scheduler.model.reason import ReasonCode
from scheduler.service.follow import Follower
from scheduler.service.forecasts import Forecasts
from scheduler.service.learned import Learned
from scheduler.store.database import Database
from scheduler.store.sites import SiteRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A verdict, and the moment of which it speaks."""

    verdict: Verdict
    at_ms: int


class World:
    """A follower of the store, shared by the threads of a server."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        policy: DataClassPolicy,
        staleness_seconds_max: float,
        preemption: PreemptionRules = DEFAULT_PREEMPTION,
    ) -> None:
        self._follower = Follower(database, clock, policy, preemption)
        self._learned = Learned(database)
        self._clock = clock
        self._staleness_seconds_max = staleness_seconds_max
        self._lock = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._version = 0
        self._read_seconds = 0.0
        self._read_ms = 0
        self._verdicts: Verdicts | None = None
        self._told: dict[ClassKey, Told | None] = {}
        self.forecasts = Forecasts(self._copy, clock)

    def remembered(self) -> tuple[Snapshot, int] | None:
        """The snapshot and its version while they are fresh enough; without I/O."""
        snapshot = self._snapshot
        if snapshot is None or self._clock.monotonic_seconds() - self._read_seconds >= self._staleness_seconds_max:
            return None
        return snapshot, self._version

    def read(self) -> tuple[Snapshot, int]:
        """The snapshot, read anew where it is too old, and a number that grows when capacity or policy changed."""
        with self._lock:
            known = self.remembered()
            if known is not None:
                return known
            now_seconds = self._clock.monotonic_seconds()
            self._follower.catch_up()
            self._learned.catch_up()
            self._snapshot = self._follower.federation.snapshot()
            self._version = self._follower.version
            self._read_seconds, self._read_ms = now_seconds, self._clock.now_ms()
            self._verdicts, self._told = None, {}
            return self._snapshot, self._version

    def snapshot(self) -> Snapshot:
        """The federation now."""
        return self.read()[0]

    def verdict(self, key: ClassKey) -> Told | None:
        """Why the jobs of a class wait, as things stand; None where none waits."""
        snapshot, _ = self.read()
        with self._lock:
            verdicts = self._verdicts_of(snapshot)
            if key not in self._told:
                verdict = verdicts.of(key)
                self._told[key] = None if verdict is None else Told(verdict=verdict, at_ms=self._read_ms)
            return self._told[key]

    def waiting_by_reason(self, classes_max: int) -> Counter[ReasonCode | None]:
        """How many jobs wait for each reason, as ``Verdicts.waiting_by_reason`` says."""
        snapshot, _ = self.read()
        with self._lock:
            return self._verdicts_of(snapshot).waiting_by_reason(classes_max)

    def _verdicts_of(self, snapshot: Snapshot) -> Verdicts:
        if self._verdicts is None:
            round_ = Round(snapshot if self._snapshot is None else self._snapshot)
            place(round_)  # what is reserved for blocked heads is a reason for others to wait
            self._verdicts = Verdicts(round_, ahead=True)
        return self._verdicts

    def _copy(self) -> tuple[Federation, int]:
        """The federation, to go on with, and the moment it shows."""
        self.read()
        with self._lock:
            return self._follower.federation.copy(), self._read_ms

    def forget(self) -> None:
        """Read again at the next question: this process changed something that must show at once."""
        self._read_seconds = float("-inf")

    @property
    def run_times(self) -> RunTimes:
        """How long jobs ran, as of the last reading."""
        return self._learned.run_times

    @property
    def sites(self) -> Mapping[int, SiteRow]:
        """Sites by id, as of the last reading."""
        return self._follower.sites
