"""Group commit: many small writers share one transaction and one fsync.

Callers hand in commands and get futures. One thread takes all that waits (bounded), runs it in one
transaction, commits, and only then lets the futures tell. Commands of one *kind* go to one function as a
list, so that thousands of rows become one statement. One that fails fails alone: the transaction is undone
and done again with a savepoint around each. That is dear, but a refusal is a value, so a failure is a fault
and rare; and savepoints in the common case would cost a third of the throughput.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy.exc import DBAPIError

from scheduler.model.errors import StoreUnavailable
from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.store.database import Database
from scheduler.store.dialect import is_contention
from scheduler.store.transaction import WriteTransaction

T = TypeVar("T")
Item = TypeVar("Item")
Result = TypeVar("Result")

#: Work of one kind: all items of a transaction at once, one result each, in order. After an exception they
#: are tried again caller by caller.
Kind = Callable[[WriteTransaction, Sequence[Item]], Sequence[Result]]

#: Weight (rows, roughly) that may wait before new work is refused, and that one transaction takes.
WAITING_WEIGHT_MAX = 100_000
TRANSACTION_WEIGHT_MAX = 10_000


@dataclass(slots=True)
class _Work(Generic[T]):
    """One caller's work. ``kind`` is None for a command, whose ``items`` hold just that command."""

    kind: Kind[Any, Any] | None
    items: Sequence[Any]
    weight: int
    future: Future[T] | asyncio.Future[T]
    loop: asyncio.AbstractEventLoop | None = None  # of an asyncio future
    outcome: Any = None
    error: Exception | None = None

    def begin(self) -> bool:
        """Whether the caller still wants it. A thread's future cannot be cancelled from now on."""
        if isinstance(self.future, Future):
            return self.future.set_running_or_notify_cancel()
        return not self.future.cancelled()

    def tell(self) -> None:
        """Give the caller its outcome or error; in the thread of its loop where it has one."""
        if isinstance(self.future, asyncio.Future) and self.future.cancelled():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.outcome)


@dataclass(slots=True)
class _Queue:
    """What waits, oldest first."""

    works: deque[_Work[Any]] = field(default_factory=deque)
    weight: int = 0
    closed: bool = False


class GroupCommit:
    """The writer of one process. Work may run more than once (after contention), so it must act through the
    transaction alone. ``close`` finishes what waits."""

    def __init__(
        self,
        database: Database,
        *,
        waiting_weight_max: int = WAITING_WEIGHT_MAX,
        transaction_weight_max: int = TRANSACTION_WEIGHT_MAX,
    ) -> None:
        self._database = database
        self._waiting_weight_max = waiting_weight_max
        self._transaction_weight_max = transaction_weight_max
        self._queue = _Queue()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._write_until_closed, name="group-commit", daemon=True)
        self._thread.start()

    def submit(self, command: Callable[[WriteTransaction], T]) -> Future[T | Refusal]:
        """Queue ``command``. The future has its result once that is durable, its exception if it failed, or
        the refusal ``NOT_READY`` when too much waits or the writer is closed. A future that is cancelled
        before its turn is not run."""
        future: Future[T | Refusal] = Future()
        self._enqueue(_Work(None, (command,), 1, future))
        return future

    def submit_items(
        self, kind: Kind[Item, Result], items: Sequence[Item], *, weight: int | None = None
    ) -> Future[Sequence[Result] | Refusal]:
        """Queue ``items`` for ``kind``, to be run together with what others queued for it. One result each,
        in order.

        ``weight`` is about how many rows they write (by default one each).
        """
        future: Future[Sequence[Result] | Refusal] = Future()
        self._enqueue(_Work(kind, items, len(items) if weight is None else weight, future))
        return future

    def submit_async(self, command: Callable[[WriteTransaction], T]) -> asyncio.Future[T | Refusal]:
        """Do as ``submit`` does, for the running event loop."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T | Refusal] = loop.create_future()
        self._enqueue(_Work(None, (command,), 1, future, loop))
        return future

    def submit_items_async(
        self, kind: Kind[Item, Result], items: Sequence[Item], *, weight: int | None = None
    ) -> asyncio.Future[Sequence[Result] | Refusal]:
        """Do as ``submit_items`` does, for the running event loop: all that share a transaction cost it one
        wake-up."""
        loop = asyncio.get_running_loop()
        rows = len(items) if weight is None else weight
        future: asyncio.Future[Sequence[Result] | Refusal] = loop.create_future()
        self._enqueue(_Work(kind, items, rows, future, loop))
        return future

    def waiting_weight(self) -> int:
        """How much waits now: a gauge of backpressure."""
        with self._changed:
            return self._queue.weight

    def close(self, timeout_seconds: float = 30.0) -> None:
        """Refuse new work, finish what waits, and end the thread."""
        with self._changed:
            self._queue.closed = True
            self._changed.notify_all()
        self._thread.join(timeout_seconds)

    def _enqueue(self, work: _Work[Any]) -> None:
        with self._changed:
            fits = not self._queue.works or self._queue.weight + work.weight <= self._waiting_weight_max
            if fits and not self._queue.closed:
                self._queue.works.append(work)
                self._queue.weight += work.weight
                self._changed.notify()
                return
        work.future.set_result(refuse(ReasonCode.NOT_READY))

    def _write_until_closed(self) -> None:
        while works := self._take():
            try:
                self._write(works)
            except Exception as error:
                for work in works:
                    work.error = error
            _tell_all(works)

    def _write(self, works: Sequence[_Work[Any]]) -> None:
        try:
            self._database.run(lambda transaction: _run_all(transaction, works))
        except StoreUnavailable:
            raise
        except Exception:
            self._database.run(lambda transaction: _run_apart(transaction, works))

    def _take(self) -> list[_Work[Any]]:
        """Wait for work; return one transaction's worth, or nothing when closed and drained."""
        taken: list[_Work[Any]] = []
        while not taken:
            with self._changed:
                self._changed.wait_for(lambda: self._queue.works or self._queue.closed)
                if not self._queue.works:
                    return []
                weight = 0
                while self._queue.works:
                    weight += self._queue.works[0].weight
                    if taken and weight > self._transaction_weight_max:
                        break
                    work = self._queue.works.popleft()
                    self._queue.weight -= work.weight
                    if work.begin():
                        taken.append(work)
        return taken


def _tell_all(works: Sequence[_Work[Any]]) -> None:
    loops: dict[asyncio.AbstractEventLoop, list[_Work[Any]]] = {}
    for work in works:
        if work.loop is None:
            work.tell()
        else:
            loops.setdefault(work.loop, []).append(work)
    for loop, own in loops.items():
        # A loop that was closed meanwhile has nobody left to tell.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_tell_here, own)


def _tell_here(works: Sequence[_Work[Any]]) -> None:
    for work in works:
        work.tell()


def _run_all(transaction: WriteTransaction, works: Sequence[_Work[Any]]) -> None:
    """Run commands in the order they came, and each kind's items together where its first one stands."""
    kinds: dict[Kind[Any, Any], list[_Work[Any]]] = {}
    for work in works:
        if work.kind is not None:
            kinds.setdefault(work.kind, []).append(work)
    for work in works:
        if work.kind is None:
            work.outcome = work.items[0](transaction)
        elif same := kinds.pop(work.kind, None):
            outcomes = work.kind(transaction, [item for each in same for item in each.items])
            start = 0
            for each in same:
                each.outcome = outcomes[start : start + len(each.items)]
                start += len(each.items)


def _run_apart(transaction: WriteTransaction, works: Sequence[_Work[Any]]) -> None:
    """Run each work in a savepoint and keep its outcome or its error. Contention and a lost connection end it
    all."""
    for work in works:
        work.outcome, work.error = None, None
        try:
            with transaction.savepoint():
                work.outcome = work.items[0](transaction) if work.kind is None else work.kind(transaction, work.items)
        except DBAPIError as error:
            if error.connection_invalidated or is_contention(error):
                raise
            work.error = error
        except Exception as error:
            work.error = error
