"""GPU classes: what a GPU-hour of each is worth, from when on, and how fast each is in general."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.service.access import require_administrator
from scheduler.service.caller import Caller
from scheduler.service.runtime import Runtime
from scheduler.store import class_speeds, gpu_classes
from scheduler.store.gpu_classes import GpuClass
from scheduler.store.transaction import WriteTransaction


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassView:
    """A class's rate from a moment on, and its speed now; None where nobody has said it."""

    row: GpuClass
    speed: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRate:
    """What a GPU-hour is worth, in credits, from a moment on; None: from now."""

    numerator: int
    denominator: int
    valid_from_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSpeed:
    """How fast a class is, relative to others; None: nobody says it any more."""

    speed: float | None


def list_gpu_classes(runtime: Runtime) -> list[ClassView]:
    """The exchange table, by class and date, with speeds."""
    with runtime.database.read() as connection:
        speeds = class_speeds.every(connection)
        return [ClassView(row=row, speed=speeds.get(row.name)) for row in gpu_classes.every(connection)]


def set_gpu_class(
    transaction: WriteTransaction,
    runtime: Runtime,
    caller: Caller,
    name: str,
    *,
    rate: NewRate | None,
    speed: NewSpeed | None,
    why: str,
) -> ClassView | Refusal:
    """Set what a GPU-hour of a class is worth, how fast the class is, or both; what has no rate gets no speed. Administrators
    only."""
    refusal = require_administrator(caller)
    if refusal is not None:
        return refusal
    row = _row_of(transaction, name) if rate is None else _put_rate(transaction, name, rate)
    if isinstance(row, Refusal):
        return row
    data: dict[str, Any] = {"gpu_class": name}
    if rate is not None:
        data |= {"credits": f"{rate.numerator}/{rate.denominator}", "valid_from_ms": row.valid_from_ms}
    if speed is not None:
        class_speeds.put(transaction, name, speed.speed)
        data |= {"speed": speed.speed}
    transaction.event("gpu_class.set", actor=caller.person, why=why, data=data)
    transaction.on_commit(runtime.world.forget)
    return ClassView(row=row, speed=class_speeds.every(transaction.connection).get(name))


def _row_of(transaction: WriteTransaction, name: str) -> GpuClass | Refusal:
    """A class's newest rate."""
    rows = [each for each in gpu_classes.every(transaction.connection) if each.name == name]
    return rows[-1] if rows else refuse(ReasonCode.CLASS_WITHOUT_RATE, gpu_class=name)


def _put_rate(transaction: WriteTransaction, name: str, rate: NewRate) -> GpuClass:
    return gpu_classes.put(
        transaction,
        name=name,
        valid_from_ms=transaction.now_ms if rate.valid_from_ms is None else rate.valid_from_ms,
        credit_numerator=rate.numerator,
        credit_denominator=rate.denominator,
    )
