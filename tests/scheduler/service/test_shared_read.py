"""Requests that ask for the same at the same moment share one reading."""

from __future__ import annotations

import asyncio
import threading
from itertools import count

import pytest

from scheduler.service.shared_read import SharedReads


class Reading:
    """A read that goes on until it is let go, and counts how often it was begun."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.let_go = threading.Event()
        self.numbers = count(1)

    def __call__(self) -> int:
        number = next(self.numbers)
        self.begun.set()
        assert self.let_go.wait(10)
        return number


async def begun(reading: Reading) -> None:
    assert await asyncio.to_thread(reading.begun.wait, 10)


def test_of_many_that_ask_one_reads_and_the_next_reads_anew() -> None:
    async def scene() -> None:
        reads, reading = SharedReads[int](), Reading()
        asked = [asyncio.ensure_future(reads.ask("same", reading)) for _ in range(5)]
        await begun(reading)
        reading.let_go.set()
        assert await asyncio.gather(*asked) == [1] * 5
        assert await reads.ask("same", reading) == 2

    asyncio.run(scene())


def test_who_asks_for_something_else_waits_for_nobody() -> None:
    async def scene() -> None:
        reads, reading = SharedReads[int](), Reading()
        slow = asyncio.ensure_future(reads.ask("slow", reading))
        await begun(reading)
        assert await reads.ask("other", lambda: 7) == 7
        reading.let_go.set()
        assert await slow == 1

    asyncio.run(scene())


def test_one_that_gives_up_leaves_the_others_their_answer() -> None:
    async def scene() -> None:
        reads, reading = SharedReads[int](), Reading()
        impatient, patient = (asyncio.ensure_future(reads.ask("same", reading)) for _ in range(2))
        await begun(reading)
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        reading.let_go.set()
        assert await patient == 1

    asyncio.run(scene())


def test_a_read_that_fails_fails_for_all_and_the_next_tries_again() -> None:
    async def scene() -> None:
        reads = SharedReads[int]()

        def away() -> int:
            raise OSError("away")

        answers = await asyncio.gather(*(reads.ask("same", away) for _ in range(3)), return_exceptions=True)
        assert [str(each) for each in answers] == ["away"] * 3
        assert await reads.ask("same", lambda: 7) == 7

    asyncio.run(scene())
