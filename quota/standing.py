"""Standing: what a group lent to others lately, less what it held above its share, in GPU-seconds.

In the manner of Karma (Vuppalapati et al., OSDI 2023): a GPU that others use for a second earns its lender what a GPU held
above the own share for a second costs. Standing may fall below nothing, so that who surged on nothing makes way afterwards. Both
amounts count half as much after each half-life, by the very rule of ``decay``, so that neither what was lent nor what
was owed counts for ever; ``standing_rates`` says how many GPUs count at a moment. Between two changes of these
rates nothing needs to be written down: amounts of any moment follow from the last ones, in whole numbers.

Standing orders groups that hold their share or more, and nothing else. Siblings are compared, from the top of the tree: when
a group stands above its sibling, everybody in it does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from quota.decay import FRACTION_BITS, Decay, DecayedUse
from quota.errors import UsageError
from quota.tree import ClassTree, IntArray

#: GPUs are counted in parts, so that a lender of little gets its part of what several lend together.
PARTS = 1000
_SECOND = PARTS * 1000 << FRACTION_BITS


@dataclass(frozen=True, slots=True)
class Standing:
    """One group's, of one GPU class, at the moment of its amounts; these count in thousandths of GPUs.

    ``lends`` and ``surges`` are the thousandths of GPUs that have counted since. Amounts, and rates, are not negative.
    """

    lent: DecayedUse
    surged: DecayedUse
    lends: int = 0
    surges: int = 0

    def __post_init__(self) -> None:
        """Raise UsageError for amounts of two moments."""
        if self.lent.at_ms != self.surged.at_ms:
            raise UsageError(f"what was lent by {self.lent.at_ms} goes with what was held by {self.surged.at_ms}")

    @staticmethod
    def none(at_ms: int) -> Standing:
        """Of a group that never lent nor surged."""
        return Standing(DecayedUse(0, at_ms), DecayedUse(0, at_ms))

    @property
    def at_ms(self) -> int:
        """The moment of the amounts."""
        return self.lent.at_ms

    @property
    def gpu_seconds(self) -> int:
        """What is kept at that moment, rounded down; less than nothing where more was held than lent."""
        return (self.lent.amount - self.surged.amount) // _SECOND

    def at(self, decay: Decay, now_ms: int) -> Standing:
        """The same later, when the rates have counted until ``now_ms``. Raises UsageError for a moment before its own."""
        lent, surged = decay.after(self.lent, self.lends, now_ms), decay.after(self.surged, self.surges, now_ms)
        return Standing(lent, surged, self.lends, self.surges)

    def counting(self, lends: int, surges: int) -> Standing:
        """The same, with other rates from its moment on."""
        return Standing(self.lent, self.surged, lends, surges)

    def counted_anew(self, before: Decay, after: Decay) -> Standing:
        """The same as another rule counts it: as many GPUs on average."""
        return replace(self, lent=after.of_other(self.lent, before), surged=after.of_other(self.surged, before))


def gpu_seconds_of(use: DecayedUse) -> int:
    """An amount of a standing in whole GPU-seconds, rounded down."""
    return use.amount // _SECOND


def standing_ranks(tree: ClassTree, gpu_seconds: IntArray) -> IntArray:
    """Return every group's turn by position, 0 in front, the same for equals: by standing along its path, the most first.

    ``gpu_seconds`` is (group,): each group's own standing, whatever those above and below it have. A path that has ended goes on
    with nothing. The answer is read-only. O(groups log groups) a level.
    """
    if len(gpu_seconds) != len(tree):
        raise UsageError("there is one standing a group")
    if not gpu_seconds[1:].any():
        return _frozen(np.zeros(len(tree), np.int64))
    keys = np.zeros(
        (len(tree.levels) - 1, len(tree)), np.int64
    )  # (depth below the root, group): minus the standing there
    for depth, level in enumerate(tree.levels[1:]):
        keys[:depth, level] = keys[:depth, tree.parent[level]]
        keys[depth, level] = -gpu_seconds[level]
    order = np.lexsort(keys[::-1])
    sorted_keys = keys[:, order]
    ranks = np.zeros(len(tree), np.int64)
    ranks[order[1:]] = np.cumsum((sorted_keys[:, 1:] != sorted_keys[:, :-1]).any(axis=0))
    return _frozen(ranks)


def _frozen(array: IntArray) -> IntArray:
    array.setflags(write=False)
    return array
