"""Shapes: what placement looks at, stored once however many jobs ask for the same."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, select

from scheduler.model.shape import DataClass, Shape, Topology
from scheduler.store.dialect import upsert
from scheduler.store.tables import shapes
from scheduler.store.transaction import WriteTransaction

_ROWS_A_STATEMENT_MAX = 500
_CACHED_MAX = 1_000_000


def request_of(shape: Shape) -> dict[str, Any]:
    """Write ``shape`` as plain JSON values."""
    request = {
        "workers": shape.workers,
        "gpus_per_worker": shape.gpus_per_worker,
        "cpus_per_worker": shape.cpus_per_worker,
        "memory_mib_per_worker": shape.memory_mib_per_worker,
        "gpu_classes": list(shape.gpu_classes),
        "topology": shape.topology.value,
        "data_class": shape.data_class.value,
        "preemptible": shape.preemptible,
    }
    # What most do not ask for is left out, so that a shape is the same with and without a program that knows of it.
    if shape.required is not Topology.ANY:
        request["topology_required"] = shape.required.value
    if shape.workers_max is not None:
        request["workers_max"] = shape.workers_max
    return request


def shape_of(request: dict[str, Any]) -> Shape:
    """Read what ``request_of`` wrote."""
    return Shape(
        workers=request["workers"],
        gpus_per_worker=request["gpus_per_worker"],
        cpus_per_worker=request["cpus_per_worker"],
        memory_mib_per_worker=request["memory_mib_per_worker"],
        gpu_classes=tuple(request["gpu_classes"]),
        topology=Topology(request["topology"]),
        data_class=DataClass(request["data_class"]),
        preemptible=request["preemptible"],
        required=Topology(request.get("topology_required", Topology.ANY)),
        workers_max=request.get("workers_max"),
    )


def hash_of(shape: Shape) -> str:
    """SHA-256 (hex) of the canonical JSON of ``shape``."""
    text = json.dumps(request_of(shape), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def by_id(connection: Connection, ids: Sequence[int]) -> dict[int, Shape]:
    """Return the shapes of ``ids``; ids that do not exist are left out."""
    found: dict[int, Shape] = {}
    for start in range(0, len(ids), _ROWS_A_STATEMENT_MAX):
        part = ids[start : start + _ROWS_A_STATEMENT_MAX]
        for row in connection.execute(select(shapes.c.id, shapes.c.request).where(shapes.c.id.in_(part))):
            found[row.id] = shape_of(row.request)
    return found


class ShapeIds:
    """Ids of shapes, remembered by this process. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: dict[Shape, int] = {}

    def of(self, transaction: WriteTransaction, wanted: Sequence[Shape]) -> list[int]:
        """Return the id of each of ``wanted``, in order, storing those that are new."""
        known = self._ids
        ids = [known.get(shape, 0) for shape in wanted]
        missing = {shape for shape, id_ in zip(wanted, ids, strict=True) if id_ == 0}
        if not missing:
            return ids
        stored = _store(transaction, missing)
        transaction.on_commit(lambda: self._remember(stored))
        return [id_ or stored[shape] for shape, id_ in zip(wanted, ids, strict=True)]

    def _remember(self, stored: dict[Shape, int]) -> None:
        with self._lock:
            if len(self._ids) + len(stored) > _CACHED_MAX:
                self._ids = {}
            self._ids.update(stored)


def _store(transaction: WriteTransaction, missing: Iterable[Shape]) -> dict[Shape, int]:
    by_hash = {hash_of(shape): shape for shape in missing}
    # In one order everywhere, so that two servers inserting the same new shapes never wait for each other
    # crosswise.
    hashes = sorted(by_hash)
    ids: dict[Shape, int] = {}
    for start in range(0, len(hashes), _ROWS_A_STATEMENT_MAX):
        part = hashes[start : start + _ROWS_A_STATEMENT_MAX]
        rows = [{"hash": each, "request": request_of(by_hash[each])} for each in part]
        upsert(transaction.connection, shapes, rows, keys=["hash"])
        for row in transaction.connection.execute(select(shapes.c.id, shapes.c.hash).where(shapes.c.hash.in_(part))):
            ids[by_hash[row.hash]] = row.id
    return ids
