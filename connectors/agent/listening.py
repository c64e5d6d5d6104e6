"""One request that waits for news, in a thread of its own that nobody has to wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable

from connectors.agent.transport import Transport
from scheduler.model.wire import SyncRequest, SyncResponse


class Listening:
    """A waiting sync. ``wake`` is called when its answer is there; an agent that stops leaves it alone."""

    def __init__(
        self,
        transport: Transport,
        request: SyncRequest,
        sent_ns: int,
        wake: Callable[[], None],
        *,
        timeout_seconds: float,
    ) -> None:
        self.sequence = request.sequence
        self.sent_ns = sent_ns
        self._answer: SyncResponse | Exception | None = None
        self._timeout_seconds = timeout_seconds
        self._thread = threading.Thread(
            target=self._ask, args=(transport, request, wake), name="dure-listen", daemon=True
        )
        self._thread.start()

    def _ask(self, transport: Transport, request: SyncRequest, wake: Callable[[], None]) -> None:
        try:
            self._answer = transport.sync(request, timeout_seconds=self._timeout_seconds)
        except Exception as fault:
            self._answer = fault
        wake()

    @property
    def done(self) -> bool:
        """Whether ``result`` has something to say."""
        return self._answer is not None

    def result(self) -> SyncResponse:
        """The answer; raises what the request did."""
        assert self._answer is not None
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer
