"""Groups' standing as rounds see it: as the record keeps it, at any moment.

With rates of r GPUs since the moment s of its amounts, a standing comes at t to ``H * r + (amount - H * r) * beta ** (t - s)``
for the half-life H and ``beta = 0.5 ** (1 / H)``; so it is ``H * r + kept * beta ** (t - T)``, as in ``past_use``, and a round
computes a few array operations a class. ``earning`` says what counts from a moment on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from quota.decay import DEFAULT_DECAY, FACTOR_BITS, FRACTION_BITS, Decay, DecayedUse, factor
from quota.standing import PARTS, Standing, standing_ranks
from quota.tree import ClassTree, IntArray, QuotaTree
from scheduler.model.ids import GroupId

StandingKey = tuple[GroupId, str]  #: group, GPU class

#: What a group can have lent or surged, in GPU-seconds, stays below this.
_ALL_MAX = 2.0**60
_KEPT_MAX = 2**60


@dataclass(frozen=True, slots=True, eq=False)
class StandingNow:
    """Standing at one moment. ``counts`` lists, by GPU class, rates (lent less surged, in parts of GPUs) and ``kept`` (parts of
    GPU-seconds), each (group,) by position; ``kept`` is as of a moment that comes in ``elapses_ms``."""

    at_ms: int = 0
    decay: Decay = DEFAULT_DECAY
    elapses_ms: int = 0
    counts: Mapping[str, tuple[IntArray, IntArray]] = field(default_factory=dict)
    kept: Mapping[StandingKey, Standing] = field(default_factory=dict)

    @property
    def growth(self) -> float:
        """What ``kept`` has to be multiplied with."""
        return (1 << FACTOR_BITS) / factor(self.elapses_ms, self.decay.half_life_ms)

    def own(self, gpu_class: str) -> IntArray | None:
        """By position: each group's own standing in whole GPU-seconds. None: nobody has lent or surged."""
        if gpu_class not in self.counts:
            return None
        rates, kept = self.counts[gpu_class]
        # Doubles multiply and round alike everywhere.
        amounts = (rates * (self.decay.half_life_ms / 1000) + kept * self.growth) / PARTS
        found: IntArray = np.rint(np.clip(amounts, -_ALL_MAX, _ALL_MAX)).astype(np.int64)
        return found

    def ranks(self, tree: ClassTree) -> IntArray:
        """By position: the turn of each group, equals alike; read-only."""
        own = self.own(tree.gpu_class)
        return standing_ranks(tree, np.zeros(len(tree), np.int64) if own is None else own)

    def gpus(self, amount: DecayedUse) -> float:
        """An amount of a standing in GPUs on average, recent ones counting most."""
        return (amount.amount >> FRACTION_BITS) / (PARTS * self.decay.half_life_ms)

    def of(self, group: GroupId, gpu_class: str) -> Standing:
        """One group's, exactly."""
        known = self.kept.get((group, gpu_class), Standing.none(self.at_ms))
        return known.at(self.decay, max(known.at_ms, self.at_ms))


NO_STANDING = StandingNow()


class Standings:
    """Keeps what the record says. Not thread-safe."""

    def __init__(self) -> None:
        self.decay = DEFAULT_DECAY
        self._kept: dict[StandingKey, Standing] = {}
        self._shown: Mapping[StandingKey, Standing] = {}
        self._changed: set[StandingKey] = set()
        self._tree: QuotaTree | None = None
        self._until_ms = 0
        self._counts: dict[str, tuple[IntArray, IntArray]] = {}

    def copy(self) -> Standings:
        """The same, which from now on goes on by itself."""
        twin = Standings()
        twin.decay, twin._kept, twin._changed = self.decay, self._kept.copy(), set(self._kept)
        return twin

    def set_decay(self, decay: Decay) -> None:
        """Count by another rule. What is kept has to be put again, as that rule counts it."""
        if decay != self.decay:
            self.decay = decay
            self._tree = None

    def put(self, key: StandingKey, standing: Standing) -> None:
        """Know one group's."""
        self._kept[key] = standing
        self._changed.add(key)

    def show(self, tree: QuotaTree, now_ms: int) -> StandingNow:
        """What everybody's comes to at a moment."""
        half_life_ms = self.decay.half_life_ms
        until_ms = (now_ms // half_life_ms + 1) * half_life_ms
        changed: Iterable[StandingKey] = self._changed
        if tree is not self._tree or until_ms != self._until_ms:
            self._tree, self._until_ms, self._counts, changed = tree, until_ms, {}, self._kept
        elif self._changed:  # what was shown before stays as it was
            self._counts = {name: (rates.copy(), kept.copy()) for name, (rates, kept) in self._counts.items()}
        for key in changed:
            self._count(tree, key, self._kept[key])
        if self._changed:
            self._shown, self._changed = self._kept.copy(), set()
        return StandingNow(now_ms, self.decay, until_ms - now_ms, self._counts, self._shown)

    def _count(self, tree: QuotaTree, key: StandingKey, standing: Standing) -> None:
        position = tree.positions.get(key[0])
        if position is None:
            return
        if key[1] not in self._counts:
            self._counts[key[1]] = np.zeros(len(tree.groups), np.int64), np.zeros(len(tree.groups), np.int64)
        rates, kept = self._counts[key[1]]
        rate = standing.lends - standing.surges
        beyond = standing.lent.amount - standing.surged.amount - (rate * self.decay.half_life_ms << FRACTION_BITS)
        at_end = beyond * factor(max(0, self._until_ms - standing.at_ms), self.decay.half_life_ms)
        rates[position] = rate
        kept[position] = max(-_KEPT_MAX, min(at_end // (1000 << FACTOR_BITS + FRACTION_BITS), _KEPT_MAX))
