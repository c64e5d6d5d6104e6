"""Ends of runs that speak against nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

from sqlalchemy import Connection, delete, select

from scheduler.store.dialect import bulk_insert
from scheduler.store.rows import all_of, chunks
from scheduler.store.tables import node_failures
from scheduler.store.transaction import WriteTransaction

_COLUMNS = ("node_id", "run_id", "person_id", "at_ms", "cause", "suspects")


@dataclass(frozen=True, slots=True)
class NodeFailure:
    """A row of ``node_failures``: a run of ``person_id`` ended for ``cause``, by the doing of one of ``suspects``."""

    node_id: int
    run_id: int
    person_id: int
    at_ms: int
    cause: str
    suspects: int


def add(transaction: WriteTransaction, failures: Sequence[NodeFailure]) -> None:
    """Write failures; of a run and a node there is one at most."""
    bulk_insert(transaction.connection, node_failures, _COLUMNS, map(astuple, failures))


def of_nodes(connection: Connection, node_ids: Iterable[int], after_ms: int) -> list[NodeFailure]:
    """Return what speaks against the nodes after ``after_ms``, by time and run."""
    found: list[NodeFailure] = []
    for part in chunks(node_ids):
        wanted = select(node_failures).where(node_failures.c.node_id.in_(part), node_failures.c.at_ms > after_ms)
        found += all_of(NodeFailure, connection, wanted)
    return sorted(found, key=lambda each: (each.at_ms, each.run_id))


def forget_before(transaction: WriteTransaction, at_ms: int) -> int:
    """Drop what is older; answer how many rows."""
    return transaction.connection.execute(delete(node_failures).where(node_failures.c.at_ms < at_ms)).rowcount
