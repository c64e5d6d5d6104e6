"""The policy file: groups and quotas, lenders, order, what is known of durations, the cost of a preemption, the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, model_validator

from quota.cell_shape import KINDS_MAX
from quota.decay import DEFAULT_DECAY, Decay
from quota.tree import GPUS_MAX, WEIGHT_MAX
from scheduler.model.decay_seconds import EntrySeconds, HalfLifeSeconds
from scheduler.model.errors import ConfigurationError
from scheduler.simulator.lending_policy import MaintenancePolicy, OfferPolicy, RecallPolicy
from scheduler.simulator.policy_part import CellText, Part, Seconds
from scheduler.simulator.policy_text import problem

Gpus = Annotated[int, Field(ge=0, le=GPUS_MAX)]


class Order(StrEnum):
    """Which of a group's jobs goes first, priority classes apart; ties by submission, then id."""

    FIFO = "fifo"
    LEAST_WORK = "least_work"  #: least remaining GPU time
    SHORTEST = "shortest"  #: least remaining run time
    LEAST_SERVED = "least_served"  #: least GPU time had so far: knows nothing of durations


class Durations(StrEnum):
    """What the scheduler is told of how long a job still runs."""

    KNOWN = "known"
    WALLTIME = "walltime"  #: what its user asked for
    PREDICTED = "predicted"  #: from what like jobs took


class Baseline(StrEnum):
    """Who decides: Dure's round, or a plain reference scheduler without groups."""

    NONE = "none"
    FIFO = "fifo"
    EASY = "easy"
    CONSERVATIVE = "conservative"
    SJF = "sjf"


class RoundCost(StrEnum):
    """What a round costs of the virtual clock, before its starts begin. With a cost no two simulations are quite alike."""

    NOTHING = "nothing"
    WALL = "wall"  #: what it took by the wall's clock
    PROCESSOR = "processor"  #: what it took of the processor: what the wall's clock says where nothing else runs


class QuotaPolicy(Part):
    """One group's quota of one GPU class."""

    guaranteed: Gpus = 0
    limit: Gpus | None = None
    borrowing_limit: Gpus | None = None
    lending_limit: Gpus | None = None
    weight: int = Field(default=1, ge=1, le=WEIGHT_MAX)
    cells: tuple[CellText, ...] = Field(default=(), max_length=KINDS_MAX)


class GroupPolicy(Part):
    """A group by its path below the federation. A trace's group is the one whose path or last name it is."""

    path: str = Field(pattern=r"^[^.\s]+(\.[^.\s]+)*$", max_length=400)
    quota: dict[str, QuotaPolicy] = Field(default_factory=dict)
    order: Order | None = None


class FailurePolicy(Part):
    """A node, by its index in the cluster file, fails and is repaired."""

    node: int = Field(ge=0)
    at_seconds: Seconds
    until_seconds: Seconds

    @model_validator(mode="after")
    def _in_order(self) -> FailurePolicy:
        if self.until_seconds <= self.at_seconds:
            raise ValueError("until_seconds has to be after at_seconds")
        return self


class Policy(Part):
    """Everything a simulation decides by, the trace and the cluster apart."""

    groups: tuple[GroupPolicy, ...] = ()
    offers: tuple[OfferPolicy, ...] = ()
    recalls: tuple[RecallPolicy, ...] = ()
    maintenance: tuple[MaintenancePolicy, ...] = ()
    failures: tuple[FailurePolicy, ...] = ()
    #: What the trace's second 0 is by offers' calendars; without a zone UTC. The default one is a Monday.
    begins: datetime = datetime(2024, 1, 1, tzinfo=UTC)
    order: Order = Order.FIFO
    durations: Durations = Durations.KNOWN
    preemption: bool = True
    minimum_run_seconds: Seconds = 600  #: no run is ended for another job before it has run so long
    #: What groups used counts half as much after each half-life, and a start at once as much as its GPUs do in the entry.
    half_life_seconds: HalfLifeSeconds = DEFAULT_DECAY.half_life_ms // 1000
    entry_seconds: EntrySeconds = DEFAULT_DECAY.entry_ms // 1000
    #: Whether groups earn standing by what they lend, and spend it on surge.
    standing: bool = False
    preemption_cost_seconds: Seconds = 300
    grace_seconds: Seconds = 0  #: how long a run goes on after it was told to stop, and needs to save its state
    free_preemption: bool = False  #: a stopped run is gone at once and its job loses nothing
    #: In a group with an order other than fifo, jobs of one priority class differ in priority by what the order counts, in
    #: so many levels for each doubling of it: the first may end runs of the last. 0: the order says who starts, no more.
    levels_per_doubling: int = Field(default=0, ge=0, le=16)
    round_cost: RoundCost = RoundCost.NOTHING
    checkpoint_interval_seconds: Seconds = 3600  #: what a failure destroys is what came after the last one
    round_interval_seconds: float = Field(default=0.0, ge=0, le=86_400)  #: rounds are no closer than this
    drain: bool = True  #: go on after the last arrival until all has ended
    baseline: Baseline = Baseline.NONE
    baselines: tuple[Baseline, ...] = ()  #: others beside it, for tables side by side
    #: How fast each GPU class is, 1 where it is not named. A trace's run times are on the class that a job names first, or at
    #: speed 1 where it names none.
    speeds: dict[str, Annotated[float, Field(ge=0.001, le=1000)]] = Field(default_factory=dict)

    def speed_of(self, gpu_class: str, named: Sequence[str]) -> Fraction:
        """How fast a job that names classes runs on one, against the times of its trace."""
        speeds = self.speeds
        if not speeds:
            return Fraction(1)
        logged = speeds.get(named[0], 1.0) if named else 1.0
        return Fraction(str(speeds.get(gpu_class, 1.0))) / Fraction(str(logged))

    @model_validator(mode="after")
    def _speeds_of_the_round(self) -> Policy:
        plain = {self.baseline, *self.baselines} - {Baseline.NONE}
        if self.speeds and (self.lends or plain):
            raise ValueError("speeds go with neither a baseline nor nodes that are taken back: leave one out")
        return self

    @model_validator(mode="after")
    def _distinct(self) -> Policy:
        paths = [group.path for group in self.groups]
        if len(set(paths)) != len(paths):
            raise ValueError("groups: a path is given twice")
        return self

    @model_validator(mode="after")
    def _leaves_grace(self) -> Policy:
        asked = [each.by_seconds - each.at_seconds for each in self.recalls]
        asked += [each.from_seconds - each.at_seconds for each in self.maintenance]
        if min(asked, default=self.grace_seconds) < self.grace_seconds:
            raise ValueError("recalls and maintenance have to leave runs their grace_seconds")
        if self.lends and self.round_cost is not RoundCost.NOTHING:
            raise ValueError("round_cost: where nodes are taken back, rounds have to be on time")
        return self

    @property
    def lends(self) -> bool:
        """Whether nodes are ever taken back, failures apart."""
        return bool(self.offers or self.recalls or self.maintenance)

    @property
    def grace_ms(self) -> int:
        """How long a run goes on after it was told to stop, in ms."""
        return 0 if self.free_preemption else self.grace_seconds * 1000

    @property
    def begins_ms(self) -> int:
        """The trace's second 0 in ms since the epoch."""
        known = self.begins if self.begins.tzinfo else self.begins.replace(tzinfo=UTC)
        return int(known.timestamp()) * 1000

    @property
    def decay(self) -> Decay:
        """How past use counts less and less."""
        return Decay(half_life_ms=self.half_life_seconds * 1000, entry_ms=self.entry_seconds * 1000)

    @property
    def preemption_cost_ms(self) -> int:
        """What a preempted job has to run longer, in ms."""
        return 0 if self.free_preemption else self.preemption_cost_seconds * 1000


def read_policy(path: Path | None) -> Policy:
    """Read a YAML or JSON policy; the default one for None. Raises ConfigurationError that names field and mend."""
    import yaml

    if path is None:
        return Policy()
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as unreadable:
        raise ConfigurationError(
            f"{path} cannot be read as YAML or JSON: {unreadable}",
            f"{path}을(를) YAML이나 JSON으로 읽을 수 없습니다: {unreadable}",
        ) from unreadable
    return parse_policy({} if document is None else document, str(path))


def parse_policy(document: object, source: str = "policy") -> Policy:
    """Make a policy of plain values. Raises ConfigurationError that names each wrong field and what it may be."""
    try:
        return Policy.model_validate(document)
    except ValidationError as wrong:
        english, korean = zip(*(problem(error) for error in wrong.errors()), strict=True)
        raise ConfigurationError(f"{source}: {'; '.join(english)}", f"{source}: {'; '.join(korean)}") from wrong
