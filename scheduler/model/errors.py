"""Faults of the scheduler package, as a tree. Refusals are not among them: they are values (``reason.Refusal``).

SchedulerError
├── StoreError
│   ├── StoreUnavailable   the database cannot be reached now; trying again may help
│   └── LeadershipLost     a commit came with a fencing number that is no longer the highest
├── InvariantBroken        a plan or a row that must not be; never caught, always logged
└── ConfigurationError     a setting or a file that cannot be used; the message names the mend
"""

from __future__ import annotations


class SchedulerError(Exception):
    """Something is wrong that the caller's input did not cause."""


class StoreError(SchedulerError):
    """The record could not be read or written."""


class StoreUnavailable(StoreError):
    """The database cannot be reached now."""


class LeadershipLost(StoreError):
    """Another scheduler leads: this one's fencing number is no longer the highest."""


class InvariantBroken(SchedulerError):
    """Something happened that the laws forbid."""


class ConfigurationError(SchedulerError):
    """A setting cannot be used. ``korean`` says it in Korean, in English where nobody put it so."""

    def __init__(self, message: str, korean: str = "") -> None:
        super().__init__(message)
        self.korean = korean or message
