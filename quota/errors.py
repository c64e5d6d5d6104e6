"""Faults of the quota package, as a tree. Refusals are not among them: they are values (``refusal.Refusal``).

QuotaError
├── TreeError          groups or quotas that make no tree; the message names them
├── TopologyError      domains or nodes that make no forest; the message names them
├── UnknownGroupError  a group id that the tree does not have
├── UsageError         a release of more than was charged, a negative amount, or use that goes back in time
├── CellError          a cell that cannot be, or one released that was never granted or bound
└── LedgerError        an interval or a rate that cannot be
"""

from __future__ import annotations


class QuotaError(Exception):
    """Something is wrong that no user's request caused."""


class TreeError(QuotaError):
    """The groups and quotas given do not form a tree."""


class TopologyError(QuotaError):
    """The domains and nodes given do not form a forest."""


class CellError(QuotaError):
    """A cell that cannot be, or one that was never granted or bound."""


class UnknownGroupError(QuotaError, LookupError):
    """The tree has no such group."""


class UsageError(QuotaError):
    """Use would become negative: what is released was never charged."""


class LedgerError(QuotaError):
    """An interval that ends before it starts, or a rate that is not positive."""
