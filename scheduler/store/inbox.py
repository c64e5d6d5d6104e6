"""One subscriber's unread messages, and the board of all subscribers of a process: shared by both buses."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from scheduler.store.bus import UNREAD_MAX, Message


class Inbox:
    """The ``Subscription`` of both buses: threads and coroutines may wait on it, any thread may put."""

    def __init__(self, topics: frozenset[str], leave: Callable[[Inbox], None]) -> None:
        self.topics = topics
        self._leave = leave
        self._changed = threading.Condition()
        self._unread: deque[Message] = deque()
        self._waiters: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._closed = False

    def put(self, message: Message) -> int:
        """Add a message and wake whoever waits; return how many old ones had to go."""
        with self._changed:
            self._unread.append(message)
            dropped = max(0, len(self._unread) - UNREAD_MAX)
            for _ in range(dropped):
                self._unread.popleft()
            self._wake()
        return dropped

    def wait(self, timeout_seconds: float) -> list[Message]:
        """Return what has arrived, waiting for a first message at most ``timeout_seconds``."""
        with self._changed:
            self._changed.wait_for(lambda: self._unread or self._closed, timeout_seconds)
            return self._take()

    async def wait_async(self, timeout_seconds: float) -> list[Message]:
        """Do as ``wait`` does, without holding a thread."""
        woken = asyncio.Event()
        waiter = (asyncio.get_running_loop(), woken)
        with self._changed:
            if self._unread or self._closed:
                return self._take()
            self._waiters.add(waiter)
        try:
            await asyncio.wait_for(woken.wait(), timeout_seconds)
        except TimeoutError:
            return self._taken()
        finally:
            with self._changed:
                self._waiters.discard(waiter)
        return self._taken()

    def close(self) -> None:
        """End the subscription; whoever waits is woken with what there is."""
        self._leave(self)
        with self._changed:
            self._closed = True
            self._wake()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _wake(self) -> None:
        self._changed.notify_all()
        for loop, woken in self._waiters:
            if not loop.is_closed():
                loop.call_soon_threadsafe(woken.set)

    def _take(self) -> list[Message]:
        taken = list(self._unread)
        self._unread.clear()
        return taken

    def _taken(self) -> list[Message]:
        with self._changed:
            return self._take()


class Board:
    """Which inboxes of this process want which topics."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inboxes: dict[str, set[Inbox]] = {}

    def open(self, topics: tuple[str, ...]) -> Inbox:
        """Begin to collect messages of ``topics``."""
        inbox = Inbox(frozenset(topics), self._remove)
        with self._lock:
            for topic in inbox.topics:
                self._inboxes.setdefault(topic, set()).add(inbox)
        return inbox

    def deliver(self, topic: str, payload: bytes) -> int:
        """Put a message into every inbox that wants it; return how many old messages had to go."""
        with self._lock:
            wanting = list(self._inboxes.get(topic, ()))
        return sum(inbox.put((topic, payload)) for inbox in wanting)

    def close(self) -> None:
        """Close every inbox."""
        with self._lock:
            everybody = {inbox for inboxes in self._inboxes.values() for inbox in inboxes}
        for inbox in everybody:
            inbox.close()

    def _remove(self, inbox: Inbox) -> None:
        with self._lock:
            for topic in inbox.topics:
                wanting = self._inboxes.get(topic)
                if wanting is not None:
                    wanting.discard(inbox)
                    if not wanting:
                        del self._inboxes[topic]
