"""What groups used before, decayed, as rounds see it: ended runs as the record keeps them, live ones up to the moment.

A live run's use at the moment t is ``gpus * (H - (H - E) * beta ** (t - start))`` for the half-life H, the entry penalty E and
``beta = 0.5 ** (1 / H)``; what is over comes to its amount times ``beta ** (t - its moment)``. So a group's use is
``H * gpus + kept * beta ** (t - T)``, where ``kept`` is a sum of whole numbers, one for each live run and one for what is over,
as of a moment T that many rounds have in common: the next whole number of half-lives after t. Sums of whole numbers do not
depend on the order of events, nor does T on anything but t: a scheduler that starts anew on the same facts counts the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from quota.decay import DEFAULT_DECAY, FACTOR_BITS, FRACTION_BITS, Decay, DecayedUse, factor
from quota.fair_tree_ranks import fair_tree_ranks
from quota.tree import ClassTree, IntArray, QuotaTree
from scheduler.cycle.facts import LiveRun
from scheduler.model.ids import GroupId

UseKey = tuple[GroupId, str]  #: group, GPU class

#: All that a federation can have used, in GPU-seconds, stays below this.
_ALL_MAX = 2**61


@dataclass(frozen=True, slots=True, eq=False)
class PastUse:
    """Decayed use at one moment. ``counts`` lists, by GPU class, GPUs in use and ``kept``, each (group,) by position.

    ``kept`` is as of a moment that comes in ``elapses_ms``.
    """

    decay: Decay = DEFAULT_DECAY
    elapses_ms: int = 0
    counts: Mapping[str, tuple[IntArray, IntArray]] = field(default_factory=dict)

    @property
    def growth(self) -> float:
        """What ``kept`` has to be multiplied with."""
        return (1 << FACTOR_BITS) / factor(self.elapses_ms, self.decay.half_life_ms)

    def own(self, gpu_class: str) -> IntArray | None:
        """By position: what the work charged at the group itself comes to, the average times the half-life, in whole GPU-seconds.

        None: nothing has been used.
        """
        if gpu_class not in self.counts:
            return None
        gpus, kept = self.counts[gpu_class]
        # Doubles multiply and round alike everywhere.
        amounts = gpus * self.decay.half_life_ms // 1000 + np.rint(kept * self.growth).astype(np.int64)
        found: IntArray = np.clip(amounts, 0, _ALL_MAX // max(1, len(amounts)))
        return found

    def average(self, gpu_class: str, positions: IntArray) -> float:
        """GPUs that groups used on average, recent use counting most."""
        own = self.own(gpu_class)
        return 0.0 if own is None else int(own[positions].sum()) * 1000 / self.decay.half_life_ms

    def ranks(self, tree: ClassTree) -> IntArray:
        """By position: the turn of each group by Fair Tree, where all else is equal."""
        own = self.own(tree.gpu_class)
        return fair_tree_ranks(tree, np.zeros(len(tree), np.int64) if own is None else own)


NOTHING_USED = PastUse()


class PastUses:
    """Keeps count as runs come and go. Not thread-safe. The tree has to be shown anew whenever it has changed: ``forget``."""

    def __init__(self) -> None:
        self.decay = DEFAULT_DECAY
        self._over: dict[UseKey, DecayedUse] = {}
        self._tree: QuotaTree | None = None
        self._until_ms = 0
        self._counts: dict[str, tuple[IntArray, IntArray]] = {}
        self._shown: Mapping[str, tuple[IntArray, IntArray]] | None = None  # the same, which nobody changes any more

    def copy(self) -> PastUses:
        """The same count, which from now on goes on by itself."""
        twin = PastUses()
        twin.decay, twin._over, twin._tree, twin._until_ms = self.decay, self._over.copy(), self._tree, self._until_ms
        twin._counts = {name: (gpus.copy(), kept.copy()) for name, (gpus, kept) in self._counts.items()}
        return twin

    def forget(self) -> None:
        """Count everything anew at the next showing."""
        self._tree = None

    def set_decay(self, decay: Decay) -> None:
        """Count by another rule. What is over has to be put again, as that rule counts it."""
        if decay != self.decay:
            self.decay = decay
            self.forget()

    def put(self, key: UseKey, use: DecayedUse) -> None:
        """Know what a group's ended runs of a GPU class come to."""
        before = self._over.get(key)
        self._over[key] = use
        if self._tree is not None:
            self._keep(key, 0, self._of_over(use) - (0 if before is None else self._of_over(before)))

    def end(self, run: LiveRun, now_ms: int) -> None:
        """Know that a live run is over, and what it used with it; it has to be dropped as well."""
        key = run.group, run.gpu_class
        known = self._over.get(key, DecayedUse(0, now_ms))
        known = self.decay.after(known, 0, max(known.at_ms, now_ms))
        self.put(key, self.decay.with_spell(known, run.gpus, min(run.started_ms, now_ms), now_ms))

    def hold(self, run: LiveRun, sign: int) -> None:
        """A run has come (1) or gone (-1)."""
        if self._tree is not None:
            self._keep((run.group, run.gpu_class), sign * run.gpus, sign * self._of_live(run))

    def show(self, tree: QuotaTree, runs: Iterable[LiveRun], now_ms: int) -> PastUse:
        """The count at a moment. ``runs`` are all live ones, looked at only where everything is counted anew."""
        half_life_ms = self.decay.half_life_ms
        until_ms = (now_ms // half_life_ms + 1) * half_life_ms
        if tree is not self._tree or until_ms != self._until_ms:
            self._tree, self._until_ms, self._counts, self._shown = tree, until_ms, {}, None
            for run in runs:
                self._keep((run.group, run.gpu_class), run.gpus, self._of_live(run))
            for key, use in self._over.items():
                self._keep(key, 0, self._of_over(use))
        if self._shown is None:
            self._shown = {name: (each[0].copy(), each[1].copy()) for name, each in self._counts.items()}
        return PastUse(self.decay, until_ms - now_ms, self._shown)

    def _keep(self, key: UseKey, gpus: int, kept: int) -> None:
        assert self._tree is not None
        position = self._tree.positions.get(key[0])
        if position is None or (gpus == 0 and kept == 0):
            return
        self._shown = None
        counts = self._counts.get(key[1])
        if counts is None:
            size = len(self._tree.groups)
            counts = self._counts[key[1]] = np.zeros(size, np.int64), np.zeros(size, np.int64)
        counts[0][position] += gpus
        counts[1][position] += kept

    def _of_over(self, use: DecayedUse) -> int:
        kept = factor(max(0, self._until_ms - use.at_ms), self.decay.half_life_ms)
        return min(use.amount * kept // (1000 << FACTOR_BITS + FRACTION_BITS), _ALL_MAX >> 10)

    def _of_live(self, run: LiveRun) -> int:
        """What it adds to ``kept``: less than nothing, as it has not been at work for ever."""
        kept = factor(max(0, self._until_ms - run.started_ms), self.decay.half_life_ms)
        spared = self.decay.half_life_ms * factor(self.decay.entry_ms, self.decay.half_life_ms)
        return -(run.gpus * spared * kept // (1000 << 2 * FACTOR_BITS))
