"""One write transaction: its change number, its events, and what is told once it is committed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy import Connection, bindparam, update

from scheduler.model.errors import StoreError
from scheduler.store.dialect import bulk_insert, encode_json
from scheduler.store.tables import counters, events

logger = structlog.get_logger("dure.store")

#: (kind, job id, group id, site id, actor, why, data as JSON text)
EventRow = tuple[str, int | None, int | None, int | None, str, str, str]

_EVENT_COLUMNS = (
    "change", "part", "at_ms", "kind", "job_id", "group_id", "site_id", "actor", "why", "data"
)  # fmt: skip


_COUNT = (
    update(counters)
    .where(counters.c.name == bindparam("counter"))
    .values(value=counters.c.value + bindparam("count"))
    .returning(counters.c.value)
)


@dataclass(slots=True)
class _Pending:
    """What waits for the commit; a savepoint that is rolled back takes its own part of it along."""

    change: int | None = None
    parts_written: int = 0
    events: list[EventRow] = field(default_factory=list)
    messages: list[tuple[str, bytes]] = field(default_factory=list)
    callbacks: list[Callable[[], None]] = field(default_factory=list)


class WriteTransaction:
    """Handed out by ``Database.write``.

    Invariant: whoever has taken ``change`` is the only writer of followed rows until the commit, and every
    statement after it sees all that was committed before it. So take ``change`` before reading what a
    decision rests on, and after work that needs no such care (shapes, contents, parsing).
    """

    def __init__(self, connection: Connection, *, now_ms: int) -> None:
        self.connection = connection
        self.now_ms = now_ms
        self._pending = _Pending()

    @property
    def change(self) -> int:
        """The number of this transaction, for every followed row it writes.

        The first use locks the counter's row until the commit: numbers appear in commit order.
        """
        if self._pending.change is None:
            self._pending.change = self._count("change", 1)
        return self._pending.change

    def next_ids(self, counter: str, count: int = 1) -> range:
        """Take ``count`` consecutive ids from ``counter`` ("job" or "run")."""
        _ = self.change  # its row is locked before any other counter's, so that no two writers lock crosswise
        last = self._count(counter, count)
        return range(last - count + 1, last + 1)

    def event(
        self,
        kind: str,
        *,
        actor: str,
        job_id: int | None = None,
        group_id: int | None = None,
        site_id: int | None = None,
        why: str = "",
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Record that something happened; written with the transaction, in the order of the calls."""
        self._pending.events.append((kind, job_id, group_id, site_id, actor, why, encode_json(dict(data or {}))))

    def add_events(self, rows: Iterable[EventRow]) -> None:
        """Record many events; the cheap way for batches."""
        self._pending.events.extend(rows)

    def after_commit(self, topic: str, payload: bytes = b"") -> None:
        """Publish on the bus once this transaction is durable; equal messages are sent once."""
        self._pending.messages.append((topic, payload))

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once this transaction is durable. It must neither raise nor block."""
        self._pending.callbacks.append(callback)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what the body did, here and in the database, if it raises. Events are written at its end."""
        self.flush()
        before = self._pending
        self._pending = _Pending(change=before.change, parts_written=before.parts_written)
        try:
            with self.connection.begin_nested():
                yield
                self.flush()
        except BaseException:
            self._pending = before
            raise
        before.change = self._pending.change
        before.parts_written = self._pending.parts_written
        before.messages += self._pending.messages
        before.callbacks += self._pending.callbacks
        self._pending = before

    def flush(self) -> None:
        """Write the events collected so far. ``Database`` calls this just before the commit."""
        if not self._pending.events:
            return
        change, now_ms, first = self.change, self.now_ms, self._pending.parts_written
        rows = [(change, part, now_ms, *event) for part, event in enumerate(self._pending.events, first)]
        bulk_insert(self.connection, events, _EVENT_COLUMNS, rows)
        self._pending.parts_written += len(rows)
        self._pending.events.clear()
        self._pending.messages.append(("events", str(change).encode()))

    def committed(self, publish: Callable[[str, bytes], None]) -> None:
        """Tell of the commit. ``Database`` calls this once the transaction is durable."""
        for callback in self._pending.callbacks:
            try:
                callback()
            except Exception:
                # What is durable must not look as if it had failed: it would be done again.
                logger.exception("what follows a commit failed")
        for topic, payload in dict.fromkeys(self._pending.messages):
            publish(topic, payload)

    def _count(self, name: str, count: int) -> int:
        value = self.connection.execute(_COUNT, {"counter": name, "count": count}).scalar_one_or_none()
        if value is None:
            raise StoreError(f"there is no counter {name!r}: run the migrations")
        return int(value)
