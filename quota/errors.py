"""Faults of the quota package, as a tree. Refusals are not among them: they are values (``refusal.Refusal``).

QuotaError
├── TreeError          groups or quotas that make no tree; the message names them
├── UnknownGroupError  a group id that the tree does not have
├── UsageError         a release of more than was charged, or a negative amount
└── LedgerError        an interval or a rate that cannot be
"""

from __future__ import annotations


class QuotaError(Exception):
    """Something is wrong that no user's request caused."""


class TreeError(QuotaError):
    """The groups and quotas given do not form a tree."""


class UnknownGroupError(QuotaError, LookupError):
    """The tree has no such group."""


class UsageError(QuotaError):
    """Use would become negative: what is released was never charged."""


class LedgerError(QuotaError):
    """An interval that ends before it starts, or a rate that is not positive."""
