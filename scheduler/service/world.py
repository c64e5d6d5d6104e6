"""The federation as a server's requests see it: a snapshot that is at most a moment old."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from scheduler.clock import Clock
from scheduler.cycle.decide import handed_out
from scheduler.cycle.facts import DEFAULT_PREEMPTION, ClassKey, PreemptionRules
from scheduler.cycle.federation import Federation
from scheduler.cycle.forecast import LeftOn
from scheduler.cycle.plan import Verdict
from scheduler.cycle.prediction import RunTimes
from scheduler.cycle.snapshot import Snapshot
from scheduler.cycle.verdicts import Verdicts
from scheduler.model.data_class import DataClassPolicy
from scheduler.model.reason import ReasonCode
from scheduler.service.follow import Follower
from scheduler.service.forecasts import Forecasts
from scheduler.service.learned import Learned
from scheduler.service.left_on import RecordedLeftOn
from scheduler.store.database import Database
from scheduler.store.sites import SiteRow

_LONG_AGO = float("-inf")


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
        self._database = database
        self._clock = clock
        self._staleness_seconds_max = staleness_seconds_max
        self._lock = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._read_seconds = _LONG_AGO
        self._rules: tuple[Snapshot, int] | None = None
        self._rules_seconds = _LONG_AGO
        self._verdicts: Verdicts | None = None
        self._told: dict[tuple[ClassKey, bool], Told | None] = {}
        #: how often ``forget`` was called: what was begun before the last time is old
        self.forgotten = 0
        self.forecasts = Forecasts(self._copy, clock)

    def rules_remembered(self) -> tuple[Snapshot, int] | None:
        """What ``rules`` answered, while it is fresh enough; without I/O."""
        return self._rules if self._is_fresh(self._rules_seconds) else None

    def rules(self) -> tuple[Snapshot, int]:
        """A snapshot with capacity and policy as they are, and a number that grows when they change. What waits and runs
        may be older, and so may what is lent at the moment, which the clock alone changes: whoever asks for this alone looks
        at neither, and does not pay for the reading of all that was submitted since."""
        with self._lock:
            known = self.rules_remembered()
            if known is not None:
                return known
            now_seconds, forgotten = self._clock.monotonic_seconds(), self.forgotten
            self._follower.catch_up_rules()
            self._learned.catch_up()
            version = self._follower.version
            if self._rules is None or self._rules[1] != version:
                self._rules = self._follower.federation.snapshot(), version
            self._rules_seconds = now_seconds if forgotten == self.forgotten else _LONG_AGO
            return self._rules

    def _is_fresh(self, read_seconds: float) -> bool:
        return self._clock.monotonic_seconds() - read_seconds < self._staleness_seconds_max

    def snapshot(self) -> Snapshot:
        """The federation now, read anew where what is known is too old."""
        with self._lock:
            if self._snapshot is not None and self._is_fresh(self._read_seconds):
                return self._snapshot
            now_seconds, forgotten = self._clock.monotonic_seconds(), self.forgotten
            self._follower.catch_up()
            self._learned.catch_up()
            self._snapshot = self._follower.federation.snapshot()
            self._read_seconds = now_seconds if forgotten == self.forgotten else _LONG_AGO
            self._verdicts, self._told = None, {}
            return self._snapshot

    def verdict(self, key: ClassKey, *, alternatives: bool = False) -> Told | None:
        """Why the jobs of a class wait, as things stand, with its ``alternatives`` where they are asked for; None where none
        waits."""
        snapshot = self.snapshot()
        with self._lock:
            verdicts = self._verdicts_of(snapshot)
            asked = (key, alternatives)
            if asked not in self._told:
                verdict = verdicts.of(key, alternatives=alternatives)
                self._told[asked] = None if verdict is None else Told(verdict=verdict, at_ms=snapshot.now_ms)
            return self._told[asked]

    def waiting_by_reason(self, classes_max: int) -> Counter[ReasonCode | None]:
        """How many jobs wait for each reason, as ``Verdicts.waiting_by_reason`` says."""
        snapshot = self.snapshot()
        with self._lock:
            return self._verdicts_of(snapshot).waiting_by_reason(classes_max)

    def _verdicts_of(self, snapshot: Snapshot) -> Verdicts:
        if self._verdicts is None:
            # What is reserved for blocked heads is a reason for others to wait.
            round_, *_ = handed_out(snapshot if self._snapshot is None else self._snapshot)
            self._verdicts = Verdicts(round_, ahead=True)
        return self._verdicts

    def _copy(self) -> tuple[Federation, LeftOn]:
        """The federation, to go on with, and how long its jobs run."""
        self.snapshot()
        with self._lock:
            federation = self._follower.federation.copy()
        return federation, RecordedLeftOn(self._database, self.run_times, federation)

    def forget(self) -> None:
        """Read again at the next question: this process changed something that must show at once."""
        self.forgotten += 1
        self._read_seconds = self._rules_seconds = _LONG_AGO

    @property
    def run_times(self) -> RunTimes:
        """How long jobs ran, as of the last reading."""
        return self._learned.run_times

    @property
    def sites(self) -> Mapping[int, SiteRow]:
        """Sites by id, as of the last reading."""
        return self._follower.sites
