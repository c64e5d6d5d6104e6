"""Reads that many requests ask for at the same moment: one thread reads, and all of them have what it found."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Found = TypeVar("Found")


class SharedReads(Generic[Found]):
    """Reads under way, by what they ask for. For the coroutines of one or several event loops."""

    def __init__(self) -> None:
        self._under_way: dict[tuple[asyncio.AbstractEventLoop, Hashable], asyncio.Task[Found]] = {}

    async def ask(self, wanted: Hashable, read: Callable[[], Found]) -> Found:
        """What ``read`` finds, called in a thread; or what a call finds that was begun for the same ``wanted`` and is not over.

        Who is cancelled leaves the others their answer.
        """
        key = (asyncio.get_running_loop(), wanted)
        reading = self._under_way.get(key)
        if reading is None:
            reading = self._under_way[key] = asyncio.ensure_future(asyncio.to_thread(read))
            reading.add_done_callback(lambda _: self._under_way.pop(key, None))
        return await asyncio.shield(reading)
