"""Quotas: one row a group and GPU class. The row's change number is its ETag."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from scheduler.store.dialect import upsert
from scheduler.store.rows import all_of, first_of
from scheduler.store.tables import quotas
from scheduler.store.transaction import WriteTransaction


@dataclass(frozen=True, slots=True)
class Quota:
    """A row of ``quotas``. None: no such limit."""

    group_id: int
    gpu_class: str
    guaranteed: int
    limit: int | None
    borrowing_limit: int | None
    lending_limit: int | None
    weight: int
    change: int
    cells: list[list[Any]] | None = None  #: (level, nodes, number) each


def find(connection: Connection, group_id: int, gpu_class: str) -> Quota | None:
    """Return one group's quota of one class."""
    statement = select(quotas).where(quotas.c.group_id == group_id, quotas.c.gpu_class == gpu_class)
    return first_of(Quota, connection, statement)


def of_group(connection: Connection, group_id: int) -> list[Quota]:
    """Return the quotas of one group, by class."""
    statement = select(quotas).where(quotas.c.group_id == group_id).order_by(quotas.c.gpu_class)
    return all_of(Quota, connection, statement)


def every(connection: Connection) -> list[Quota]:
    """Return all quotas."""
    return all_of(Quota, connection, select(quotas).order_by(quotas.c.group_id, quotas.c.gpu_class))


def put(
    transaction: WriteTransaction,
    *,
    group_id: int,
    gpu_class: str,
    guaranteed: int,
    limit: int | None,
    borrowing_limit: int | None,
    lending_limit: int | None,
    weight: int,
    cells: list[list[Any]] | None = None,
) -> Quota:
    """Write a quota, new or not. Compare the ETag before: after ``transaction.change`` nobody else writes."""
    row: dict[str, Any] = {
        "group_id": group_id,
        "gpu_class": gpu_class,
        "guaranteed": guaranteed,
        "limit": limit,
        "borrowing_limit": borrowing_limit,
        "lending_limit": lending_limit,
        "weight": weight,
        "change": transaction.change,
        "cells": cells,
    }
    keys = ("group_id", "gpu_class")
    upsert(transaction.connection, quotas, [row], keys=keys, update=[name for name in row if name not in keys])
    return Quota(**row)
