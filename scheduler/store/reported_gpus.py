"""How many GPUs of each class sites reported, and from when on: a row whenever the sum over a site's nodes changes, or the
largest of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Select, and_, func, select

from scheduler.cycle.certificate_record import ReportedGpus
from scheduler.model.ids import SiteId
from scheduler.store.certificate_tables import reported_gpus
from scheduler.store.dialect import upsert
from scheduler.store.tables import nodes
from scheduler.store.transaction import WriteTransaction

_KEYS = ("site_id", "gpu_class", "at_ms")
_AMOUNTS = ("gpus", "node_gpus")


def note(transaction: WriteTransaction, site_id: int) -> None:
    """Write how many GPUs the nodes of a site come to now, where that differs from the last row."""
    _ = transaction.change  # nobody else changes nodes until the commit
    rows = [
        # A server whose clock is behind writes no row before the last one.
        {**row, "at_ms": max(transaction.now_ms, last_ms)}
        for row, last_ms in _differing(transaction.connection, site_id)
    ]
    upsert(transaction.connection, reported_gpus, rows, keys=_KEYS, update=_AMOUNTS)


def not_noted(connection: Connection) -> list[int]:
    """Return the sites whose last rows do not say what their nodes come to: after a migration, and then no more."""
    return sorted({row["site_id"] for row, _ in _differing(connection)})


def _differing(connection: Connection, site_id: int | None = None) -> Iterator[tuple[dict[str, Any], int]]:
    """What a row of now would say that differs from the last one, and when that one was written."""
    kind = (nodes.c.site_id, nodes.c.gpu_class)
    present = select(*kind, func.sum(nodes.c.gpus), func.max(nodes.c.gpus)).where(nodes.c.removed.is_(False))
    last = _latest()
    if site_id is not None:
        present, last = present.where(nodes.c.site_id == site_id), last.where(reported_gpus.c.site_id == site_id)
    now = {tuple(key): (int(sum_), most) for *key, sum_, most in connection.execute(present.group_by(*kind))}
    before = {(each.site, each.gpu_class): each for each in _steps(connection, last)}
    for key in sorted(now.keys() | before.keys()):
        known, amounts = before.get(key), now.get(key, (0, 0))
        if known is None or (known.gpus, known.node_gpus) != amounts:
            row = dict(zip(("site_id", "gpu_class", *_AMOUNTS), (*key, *amounts), strict=True))
            yield row, 0 if known is None else known.at_ms


def since(connection: Connection, from_ms: int) -> list[ReportedGpus]:
    """Return the rows that say what there was from a moment on, the last one before it included."""
    later = select(reported_gpus).where(reported_gpus.c.at_ms > from_ms)
    return [*_steps(connection, _latest(from_ms)), *_steps(connection, later)]


def _latest(by_ms: int | None = None) -> Select[Any]:
    """The last row of each site and class, or the last one until a moment."""
    columns = reported_gpus.c
    newest = select(columns.site_id, columns.gpu_class, func.max(columns.at_ms).label("at_ms"))
    if by_ms is not None:
        newest = newest.where(columns.at_ms <= by_ms)
    last = newest.group_by(columns.site_id, columns.gpu_class).subquery()
    return select(reported_gpus).join(last, and_(*(reported_gpus.c[name] == last.c[name] for name in _KEYS)))


def _steps(connection: Connection, statement: Select[Any]) -> list[ReportedGpus]:
    return [ReportedGpus(SiteId(site), *told) for site, *told in connection.execute(statement)]
