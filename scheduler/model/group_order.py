"""Which of a group's jobs goes first, priority classes apart: the group's own policy."""

from __future__ import annotations

from enum import StrEnum


class GroupOrder(StrEnum):
    """An order inside a group. What each counts is said by ``cycle.handicap``."""

    FIFO = "fifo"
    LEAST_WORK = "least_work"  #: what has the least GPU time before it, as far as that is known
    LEAST_SERVED = "least_served"  #: what has had the least GPU time: knows nothing of durations
