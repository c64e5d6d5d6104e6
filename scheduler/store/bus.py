"""Wake-ups between threads and processes. Never the record: a lost message costs a moment, since everybody
polls too.

Topics: ``scheduler`` (work to decide), ``site:{id}`` (orders for a site), ``events`` (something happened; the
payload is the change number), ``job:{id}``, ``logs:{run_id}``, ``log-wants:{site_id}``.
"""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

#: A topic and what was published on it.
Message = tuple[str, bytes]

#: Messages a subscriber may leave unread; beyond it the oldest go, and count as lost.
UNREAD_MAX = 10_000


class Subscription(Protocol):
    """Messages of some topics since the subscription began. Close it, or use it as a context manager."""

    def wait(self, timeout_seconds: float) -> list[Message]:
        """Return what has arrived, waiting for a first message at most ``timeout_seconds``; empty when none
        came."""
        ...

    async def wait_async(self, timeout_seconds: float) -> list[Message]:
        """Do as ``wait`` does, without holding a thread."""
        ...

    def close(self) -> None:
        """End the subscription; whoever waits is woken with what there is."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Bus(Protocol):
    """Publishes to everybody who is subscribed now."""

    #: messages known to have been lost
    lost: int

    def publish(self, topic: str, payload: bytes = b"") -> None:
        """Send ``payload``. Never raises and never blocks; what cannot be sent is lost and counted."""
        ...

    def subscribe(self, *topics: str) -> Subscription:
        """Begin to listen to ``topics``."""
        ...

    def close(self) -> None:
        """Let go of threads and connections."""
        ...
