"""What a job waits for of other jobs, and whether that has come, may come, or never will."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from scheduler.model.job_state import TERMINAL_STATES, JobState


class Condition(StrEnum):
    """What has to be true of another job."""

    START = "start"  #: it has started once, or has ended
    SUCCESS = "success"  #: it has succeeded


class Outlook(StrEnum):
    """How a condition stands. The first and the last are for good."""

    MET = "met"
    OPEN = "open"
    NEVER = "never"


@dataclass(frozen=True, slots=True, order=True)
class Dependency:
    """``on`` is the number of a job, or of an array: then of every task of it."""

    on: int
    condition: Condition


def outlook(condition: Condition, state: JobState, *, has_started: bool) -> Outlook:
    """How ``condition`` stands for one job. ``has_started``: some run of it has."""
    if condition is Condition.START:
        return Outlook.MET if has_started or state in TERMINAL_STATES else Outlook.OPEN
    if state is JobState.SUCCEEDED:
        return Outlook.MET
    return Outlook.NEVER if state in TERMINAL_STATES else Outlook.OPEN


def of_all(outlooks: Iterable[Outlook]) -> Outlook:
    """How conditions stand together: all of them have to be met, and one that never will be spoils the rest."""
    known = set(outlooks)
    if Outlook.NEVER in known:
        return Outlook.NEVER
    return Outlook.OPEN if Outlook.OPEN in known else Outlook.MET
