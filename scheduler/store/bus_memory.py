"""The bus of one process."""

from __future__ import annotations

from scheduler.store.bus import Subscription
from scheduler.store.inbox import Board


class MemoryBus:
    """Delivers to the subscribers of this process, at once."""

    def __init__(self) -> None:
        self.lost = 0
        self._board = Board()

    def publish(self, topic: str, payload: bytes = b"") -> None:
        """Send ``payload`` to everybody who is subscribed now."""
        self.lost += self._board.deliver(topic, payload)

    def subscribe(self, *topics: str) -> Subscription:
        """Begin to listen to ``topics``."""
        return self._board.open(topics)

    def close(self) -> None:
        """End every subscription."""
        self._board.close()
