"""GPU classes and the dated exchange table of credits."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from scheduler.store.dialect import upsert
from scheduler.store.rows import all_of
from scheduler.store.tables import gpu_classes
from scheduler.store.transaction import WriteTransaction


@dataclass(frozen=True, slots=True)
class GpuClass:
    """A row of ``gpu_classes``: one class's rate from a moment on."""

    name: str
    valid_from_ms: int
    credit_numerator: int
    credit_denominator: int
    change: int


def every(connection: Connection) -> list[GpuClass]:
    """Return all rates, by class and time."""
    statement = select(gpu_classes).order_by(gpu_classes.c.name, gpu_classes.c.valid_from_ms)
    return all_of(GpuClass, connection, statement)


def put(
    transaction: WriteTransaction,
    *,
    name: str,
    valid_from_ms: int,
    credit_numerator: int,
    credit_denominator: int,
) -> GpuClass:
    """Write the rate of a class from a moment on."""
    row = {
        "name": name,
        "valid_from_ms": valid_from_ms,
        "credit_numerator": credit_numerator,
        "credit_denominator": credit_denominator,
        "change": transaction.change,
    }
    upsert(
        transaction.connection,
        gpu_classes,
        [row],
        keys=["name", "valid_from_ms"],
        update=["credit_numerator", "credit_denominator", "change"],
    )
    return GpuClass(name, valid_from_ms, credit_numerator, credit_denominator, transaction.change)
