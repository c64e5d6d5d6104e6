"""The bus between processes, by Redis pub/sub on one channel.

Subscribers of the publisher's own process are served at once and without Redis. For the others a thread
gathers what was published meanwhile into one message, so that a busy server costs Redis little; each process
unpacks it and delivers by topic. While Redis is away what cannot be sent is dropped and counted, and both
threads try again with growing pauses.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections import deque
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from scheduler.store.bus import Message, Subscription
from scheduler.store.inbox import Board

UNSENT_MAX = 10_000
_GATHERED_MAX = 1_000
_PAUSE_SECONDS_FIRST = 0.05
_PAUSE_SECONDS_MAX = 2.0
_TIMEOUT_SECONDS = 2.0
_log = logging.getLogger(__name__)


class RedisBus:
    """Delivers to every process that uses the same Redis and ``channel``. ``publish`` never raises and never
    waits."""

    def __init__(self, url: str, *, channel: str = "dure") -> None:
        self.lost = 0
        self._channel = channel
        self._sender = secrets.token_bytes(8)
        self._board = Board()
        self._client: Any = redis.Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_SECONDS,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=5,
            socket_keepalive=True,
        )
        self._changed = threading.Condition()
        self._unsent: deque[Message] = deque()
        self._closing = threading.Event()
        self._listening = threading.Event()
        self._threads = [
            threading.Thread(target=self._send_until_closed, name="bus-send", daemon=True),
            threading.Thread(target=self._listen_until_closed, name="bus-listen", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def publish(self, topic: str, payload: bytes = b"") -> None:
        """Send ``payload`` to everybody who is subscribed now."""
        self.lost += self._board.deliver(topic, payload)
        with self._changed:
            if len(self._unsent) >= UNSENT_MAX:
                self._unsent.popleft()
                self.lost += 1
            self._unsent.append((topic, payload))
            self._changed.notify()

    def subscribe(self, *topics: str) -> Subscription:
        """Begin to listen to ``topics``."""
        return self._board.open(topics)

    def wait_until_listening(self, timeout_seconds: float) -> bool:
        """Wait until messages of other processes reach this one; False when they do not in time."""
        return self._listening.wait(timeout_seconds)

    def close(self) -> None:
        """Send what waits if that is possible now, end every subscription and both threads."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(3 * _TIMEOUT_SECONDS)
        self._board.close()
        self._client.close()

    def _send_until_closed(self) -> None:
        pause_seconds = _PAUSE_SECONDS_FIRST
        while messages := self._gather():
            try:
                self._client.publish(self._channel, self._sender + pack(messages))
                pause_seconds = _PAUSE_SECONDS_FIRST
            except redis.RedisError as error:
                self.lost += len(messages)
                _log.warning("redis is away, %d wake-ups were dropped: %s", len(messages), error)
                self._closing.wait(pause_seconds)
                pause_seconds = min(2 * pause_seconds, _PAUSE_SECONDS_MAX)

    def _gather(self) -> list[Message]:
        """Wait for messages; return some, or none when closed and drained."""
        with self._changed:
            self._changed.wait_for(lambda: self._unsent or self._closing.is_set())
            count = min(len(self._unsent), _GATHERED_MAX)
            return [self._unsent.popleft() for _ in range(count)]

    def _listen_until_closed(self) -> None:
        pause_seconds = _PAUSE_SECONDS_FIRST
        while not self._closing.is_set():
            try:
                with self._client.pubsub() as incoming:
                    incoming.subscribe(self._channel)
                    while not self._closing.is_set():
                        message: dict[str, Any] | None = incoming.get_message(timeout=0.5)
                        pause_seconds = _PAUSE_SECONDS_FIRST
                        self._take(message)
            except redis.RedisError as error:
                self._listening.clear()
                _log.warning("redis is away, no wake-ups arrive: %s", error)
                self._closing.wait(pause_seconds)
                pause_seconds = min(2 * pause_seconds, _PAUSE_SECONDS_MAX)

    def _take(self, message: dict[str, Any] | None) -> None:
        if message is None:
            return
        if message["type"] == "subscribe":
            self._listening.set()
        elif message["type"] == "message":
            data: bytes = message["data"]
            if data[: len(self._sender)] != self._sender:
                for topic, payload in unpack(data[len(self._sender) :]):
                    self.lost += self._board.deliver(topic, payload)


def pack(messages: list[Message]) -> bytes:
    """Write messages one after another, each part with its length before it (4 bytes, big-endian)."""
    parts: list[bytes] = []
    for topic, payload in messages:
        name = topic.encode()
        parts += [len(name).to_bytes(4), name, len(payload).to_bytes(4), payload]
    return b"".join(parts)


def unpack(data: bytes) -> list[Message]:
    """Read what ``pack`` wrote; what is cut off or not ours is left out."""
    fields: list[bytes] = []
    at = 0
    while at + 4 <= len(data):
        length = int.from_bytes(data[at : at + 4])
        field = data[at + 4 : at + 4 + length]
        if len(field) < length:
            break
        fields.append(field)
        at += 4 + length
    return [
        (topic.decode(errors="replace"), payload) for topic, payload in zip(fields[::2], fields[1::2], strict=False)
    ]
