"""Law 5 where a run would start: may it stay on a node as long as it needs it, and does the node's lender let it in?

* A run that can neither finish nor checkpoint before its node is taken back is not placed there.
* One that can checkpoint is placed before that only when it has the offer's minimum hold, and its minimum run time with
  the time to save its state.
* Non-preemptible work starts on firm nodes only: no notice of a recall, no window that ends, and nothing else that is
  known to take them before the run is over.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from scheduler.model.ids import GroupId
from scheduler.model.offer import Offer, Sector
from scheduler.model.shape import DataClass
from scheduler.placement.pool import IntArray

#: Where nothing is known to take a node, and when a run without a walltime ends.
NEVER_MS = 1 << 62
_MINUTE_MS, _HOUR_MS = 60_000, 3_600_000
#: Walltimes up to so long are told apart by so much: by the minute in the first hour, then more coarsely.
_GRAINS = (
    (_HOUR_MS, _MINUTE_MS),
    (6 * _HOUR_MS, 5 * _MINUTE_MS),
    (24 * _HOUR_MS, 15 * _MINUTE_MS),
    (NEVER_MS, _HOUR_MS),
)


class Stay(NamedTuple):
    """How long jobs of a class want a node. ``walltime_ms`` None: for ever. ``save_ms``: to save their state; None: cannot."""

    walltime_ms: int | None = None
    save_ms: int | None = None

    @staticmethod
    def of(walltime_ms: int | None, save_ms: int | None) -> Stay:
        """With the walltime rounded up, so that jobs of about the same length are one class."""
        if walltime_ms is None:
            return Stay(None, save_ms)
        grain_ms = next(grain for below, grain in _GRAINS if walltime_ms <= below)
        return Stay(-(-walltime_ms // grain_ms) * grain_ms, save_ms)

    @staticmethod
    def longest_walltime_ms(within_ms: int) -> int:
        """The longest walltime with which ``of`` gives one of ``within_ms`` at most; 0 for none."""
        grain_ms = next(grain for below, grain in _GRAINS if within_ms <= below)
        return max(within_ms // grain_ms * grain_ms, 0)


#: Of a job that stays for ever and cannot save its state.
ANY_STAY = Stay()


@lru_cache(maxsize=8)
def stay_columns(stays: tuple[Stay, ...]) -> tuple[IntArray, IntArray]:
    """Walltimes (ms, ``NEVER_MS`` for ever) and times to save a state (ms, -1 for never) of stays that many rounds see alike."""
    walltimes = np.array([NEVER_MS if each.walltime_ms is None else each.walltime_ms for each in stays], np.int64)
    saves = np.array([-1 if each.save_ms is None else each.save_ms for each in stays], np.int64)
    for column in (walltimes, saves):
        column.setflags(write=False)
    return walltimes, saves


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On which terms a node is lent. Empty sets let everybody in; ``priority_floor`` is the least priority served.

    With a ``holder`` the node is reserved for that group and those below it; with an ``heir`` it is taken back to be reserved for
    that one, whose runs may stay until ``heir_until_ms``. ``rate`` is what its lender is owed for a GPU-hour,
    in credits; None: what the exchange table says. ``lender`` is the group that earns standing by it; None: nobody. A node in a
    ``cell`` of a group lets in its firm work alone; groups ``having_cells`` of the node's GPU class start theirs in cells alone.
    """

    sectors: frozenset[Sector] = frozenset()
    data_classes: frozenset[DataClass] = frozenset()
    priority_floor: int | None = None
    hold_ms: int = 0
    firm: bool = True
    holder: GroupId | None = None
    heir: GroupId | None = None
    heir_until_ms: int = NEVER_MS
    rate: Fraction | None = None
    lender: GroupId | None = None
    cell: GroupId | None = None
    having_cells: frozenset[GroupId] = frozenset()

    @staticmethod
    def of(offer: Offer, *, endless: bool) -> Terms:
        """An offer's; ``endless``: its window never ends."""
        return Terms(
            sectors=frozenset(offer.sectors),
            data_classes=frozenset(offer.data_classes),
            priority_floor=offer.priority_floor,
            hold_ms=offer.minimum_hold_seconds * 1000,
            firm=endless and offer.notice_seconds is None,
            rate=offer.rate,
            lender=offer.group,
        )

    def lets_in(self, sector: Sector | None, data_class: DataClass, groups: Collection[GroupId]) -> bool:
        """Whether work of a sector, with data of a class, of a group that is below all these is served, its priority apart."""
        served = not self.sectors or sector in self.sectors
        served = served and (self.holder is None or self.holder in groups)
        return served and (not self.data_classes or data_class in self.data_classes)

    def lets_firm_in(self, group: GroupId | None, groups: Collection[GroupId]) -> bool:
        """Whether work of a group, which is below all these, may stay where nothing calls it back."""
        if not self.firm or self.cell is not None:
            return self.firm and self.cell in groups
        return self.holder is not None or group not in self.having_cells

    def serves(self, priority: int) -> bool:
        """Whether work of a priority is."""
        return self.priority_floor is None or priority >= self.priority_floor


#: A node at a site that lends all it has, as its owner's default.
PLAIN = Terms()


def may_stay(terms: Terms, until_ms: int, stay: Stay, *, preemptible: bool, now_ms: int, minimum_run_ms: int) -> bool:
    """Whether law 5 lets a run of such a stay start at ``now_ms`` on a node that is lent until before ``until_ms``."""
    end_ms = NEVER_MS if stay.walltime_ms is None else now_ms + stay.walltime_ms
    if not preemptible and not terms.firm:
        return False
    if end_ms <= until_ms:
        return True
    if not preemptible or stay.save_ms is None:
        return False
    return until_ms - now_ms >= max(stay.save_ms + minimum_run_ms, terms.hold_ms)
