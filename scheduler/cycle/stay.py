"""Law 5 where a run would start: may it stay on these nodes as long as it needs them?

* A run that can neither finish nor checkpoint before a known drop is not placed there.
* One that can checkpoint is placed before a drop only when it has the offers' minimum hold and the time to save its state.
* Non-preemptible work starts on firm nodes only: no notice of a recall, no window that ends, and nothing else that is
  known to take them before the run is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from scheduler.cycle.capacity import Drop, EffectiveCapacity
from scheduler.cycle.step_function import StepFunction


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """What a run asks for: ``nodes`` nodes from ``now_ms`` until before ``end_ms`` (None: nobody knows).

    The caller chooses which end counts. For a run that is not preemptible only the walltime's will do, since a
    prediction kills nothing. ``checkpoint_ms`` is how long it takes to save its state; None: it cannot.
    """

    nodes: int
    now_ms: int
    end_ms: int | None
    checkpoint_ms: int | None
    preemptible: bool


@dataclass(frozen=True, slots=True, eq=False)
class Room:
    """What others leave of a capacity: ``free`` of its nodes, and ``firm`` of its firm ones, less non-preemptible runs.

    Which others count is the caller's choice: those that have to stay. It may be negative.
    """

    free: StepFunction
    firm: StepFunction


class BlockedCause(StrEnum):
    """Why a run may not start on nodes."""

    NOT_FREE = "not_free"  #: too few nodes now
    NOT_FIRM = "not_firm"  #: not preemptible, and too few nodes are without recall and window now
    DROP_BEFORE_END = "drop_before_end"  #: it can neither finish nor checkpoint before
    DROP_TOO_SOON = "drop_too_soon"  #: it could checkpoint, but has less than the hold and the time to save


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """The answer "no". ``free`` nodes are there now, ``free_after`` from ``at_ms`` on, ``needed`` were asked for.

    ``least_ms`` is how long the run would have had to be left its nodes, where that decides. ``drop`` is the site's
    drop at that moment; None where other work takes the nodes then.
    """

    cause: BlockedCause
    needed: int
    free: int
    free_after: int
    now_ms: int
    at_ms: int
    least_ms: int | None = None
    drop: Drop | None = None

    @property
    def numbers(self) -> Mapping[str, int | str | None]:
        """What a verdict tells of it."""
        return {
            "needed": self.needed,
            "free": self.free,
            "free_after": self.free_after,
            "at_ms": self.at_ms,
            "seconds_left": (self.at_ms - self.now_ms) // 1000,
            "seconds_least": None if self.least_ms is None else -(-self.least_ms // 1000),
            "cause": None if self.drop is None else str(self.drop.cause),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Stays:
    """The answer "yes". ``leaves_ms`` is when it has to have saved its state and gone; None: it ends before any drop."""

    leaves_ms: int | None


def may_run(capacity: EffectiveCapacity, stay: Stay, room: Room | None = None) -> Stays | Blocked:
    """Whether law 5 lets the run start now. Without ``room`` the nodes are taken to be empty."""
    room = room or Room(capacity.nodes, capacity.firm)
    if room.free.at(stay.now_ms) < stay.nodes:
        return _blocked(capacity, stay, room.free, BlockedCause.NOT_FREE, stay.now_ms)
    if not stay.preemptible:
        if room.firm.at(stay.now_ms) < stay.nodes:
            return _blocked(capacity, stay, room.firm, BlockedCause.NOT_FIRM, stay.now_ms)
        at_ms = _first_drop(stay, room.firm)
        if at_ms is not None:
            return _blocked(capacity, stay, room.firm, BlockedCause.DROP_BEFORE_END, at_ms)
    at_ms = _first_drop(stay, room.free)
    if at_ms is None:
        return Stays(leaves_ms=None)
    if not stay.preemptible or stay.checkpoint_ms is None:
        return _blocked(capacity, stay, room.free, BlockedCause.DROP_BEFORE_END, at_ms)
    least_ms = max(stay.checkpoint_ms, capacity.minimum_hold_ms(stay.now_ms))
    if at_ms - stay.now_ms < least_ms:
        return _blocked(capacity, stay, room.free, BlockedCause.DROP_TOO_SOON, at_ms, least_ms)
    return Stays(leaves_ms=at_ms)


def _first_drop(stay: Stay, nodes: StepFunction) -> int | None:
    """When the run would lose its nodes before its end."""
    at_ms = nodes.first_below(stay.nodes, stay.now_ms)
    return None if at_ms is None or (stay.end_ms is not None and stay.end_ms <= at_ms) else at_ms


def _blocked(
    capacity: EffectiveCapacity,
    stay: Stay,
    nodes: StepFunction,
    cause: BlockedCause,
    at_ms: int,
    least_ms: int | None = None,
) -> Blocked:
    return Blocked(
        cause=cause,
        needed=stay.nodes,
        free=nodes.at(stay.now_ms),
        free_after=nodes.at(at_ms),
        now_ms=stay.now_ms,
        at_ms=at_ms,
        least_ms=least_ms,
        drop=capacity.drop_at(at_ms),
    )
