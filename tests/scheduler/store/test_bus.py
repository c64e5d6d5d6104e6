"""One contract for both buses; and what a lost Redis does to the one that needs it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from eventually import eventually

from scheduler.store.bus import UNREAD_MAX, Bus, Message, Subscription
from scheduler.store.bus_memory import MemoryBus
from scheduler.store.bus_redis import RedisBus, pack, unpack


class Pair:
    """A bus to publish on and one to subscribe on: the same in one process, two where Redis is between."""

    def __init__(self, here: Bus, there: Bus) -> None:
        self.here = here
        self.there = there


_SERVICE = pytest.mark.service


@pytest.fixture(
    params=[
        "memory",
        pytest.param("one redis bus", marks=_SERVICE),
        pytest.param("two redis buses", marks=_SERVICE),
    ]
)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    if request.param == "memory":
        memory = MemoryBus()
        yield Pair(memory, memory)
        memory.close()
        return
    url = request.getfixturevalue("redis_server").url
    buses = [RedisBus(url) for _ in range(1 if request.param == "one redis bus" else 2)]
    assert all(bus.wait_until_listening(10) for bus in buses)
    yield Pair(buses[0], buses[-1])
    for bus in buses:
        bus.close()


def collect(subscription: Subscription, count: int) -> list[Message]:
    """Wait until ``count`` messages came."""
    messages: list[Message] = []
    eventually(lambda: messages.extend(subscription.wait(1)) or len(messages) >= count, 10, f"{count} messages")
    return messages


def test_a_subscriber_gets_its_topics_in_order_and_no_others(pair: Pair) -> None:
    with pair.there.subscribe("site:1", "events") as subscription:
        for number in range(100):
            pair.here.publish("events", str(number).encode())
            pair.here.publish("site:2", b"not mine")
        pair.here.publish("site:1")
        messages = collect(subscription, 101)
    assert messages == [*(("events", str(number).encode()) for number in range(100)), ("site:1", b"")]
    assert (pair.here.lost, pair.there.lost) == (0, 0)


def test_everybody_who_is_subscribed_gets_the_message(pair: Pair) -> None:
    with pair.there.subscribe("scheduler") as one, pair.there.subscribe("scheduler", "events") as two:
        pair.here.publish("scheduler", b"x")
        assert collect(one, 1) == collect(two, 1) == [("scheduler", b"x")]


def test_waiting_without_news_ends_empty(pair: Pair) -> None:
    with pair.there.subscribe("scheduler") as subscription:
        assert subscription.wait(0.01) == []
        assert asyncio.run(subscription.wait_async(0.01)) == []


def test_a_coroutine_that_waits_is_woken_by_another_thread(pair: Pair) -> None:
    with pair.there.subscribe("job:7") as subscription:

        async def wait() -> list[Message]:
            waiting = asyncio.create_task(subscription.wait_async(10))
            await asyncio.sleep(0)
            threading.Thread(target=pair.here.publish, args=("job:7", b"running")).start()
            return await waiting

        assert asyncio.run(wait()) == [("job:7", b"running")]


def test_a_closed_subscription_wakes_its_waiter_and_collects_nothing(pair: Pair) -> None:
    subscription = pair.there.subscribe("scheduler")
    answers: list[list[Message]] = []
    waiter = threading.Thread(target=lambda: answers.append(subscription.wait(30)))
    waiter.start()
    subscription.close()
    waiter.join(10)
    pair.here.publish("scheduler")
    assert answers == [[]]
    assert subscription.wait(0) == []


def test_a_subscriber_that_does_not_read_loses_the_oldest_and_it_is_counted(pair: Pair) -> None:
    with pair.here.subscribe("events") as subscription:
        for number in range(UNREAD_MAX + 5):
            pair.here.publish("events", str(number).encode())
        messages = subscription.wait(1)
    assert len(messages) == UNREAD_MAX
    assert messages[-1] == ("events", str(UNREAD_MAX + 4).encode())
    assert pair.here.lost >= 5


@pytest.mark.service
def test_a_bus_survives_the_death_and_return_of_redis(request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue("redis_server")
    one, two = RedisBus(server.url), RedisBus(server.url)
    assert one.wait_until_listening(10)
    assert two.wait_until_listening(10)
    with two.subscribe("scheduler") as far, one.subscribe("scheduler") as near:
        server.kill()
        for _ in range(50):
            one.publish("scheduler", b"while away")
        # Its own process is served all the same; for the others the messages are lost, and counted.
        assert len(near.wait(1)) == 50
        eventually(lambda: one.lost > 0, 10, "the loss is counted")
        server.start()

        def arrives() -> bool:
            one.publish("scheduler", b"back")
            return ("scheduler", b"back") in far.wait(0.1)

        eventually(arrives, 20, "messages arrive again")
    one.close()
    two.close()


@pytest.mark.service
def test_what_comes_back_from_redis_is_not_delivered_twice(request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("redis_server").url
    one, two = RedisBus(url), RedisBus(url)
    assert one.wait_until_listening(10)
    assert two.wait_until_listening(10)
    with one.subscribe("events") as near, two.subscribe("events") as far:
        one.publish("events", b"mine")
        collect(far, 1)
        # Redis keeps the order of its channel: when this one arrives, the echo of the first has.
        two.publish("events", b"yours")
        assert collect(near, 2) == [("events", b"mine"), ("events", b"yours")]
    one.close()
    two.close()


@pytest.mark.service
def test_a_bus_without_redis_begins_and_ends_all_the_same() -> None:
    bus = RedisBus("redis://127.0.0.1:1/0")
    with bus.subscribe("scheduler") as subscription:
        bus.publish("scheduler", b"local")
        assert subscription.wait(1) == [("scheduler", b"local")]
    bus.close()


def test_packed_messages_come_back_and_foreign_bytes_do_no_harm() -> None:
    messages: list[Message] = [("events", b"1"), ("사이트", b""), ("job:1", bytes(range(256)))]
    assert unpack(pack(messages)) == messages
    for cut in range(len(pack(messages))):
        assert unpack(pack(messages)[:cut]) == messages[: len(unpack(pack(messages)[:cut]))]
    assert unpack(b"\xff\xff\xff\xffnonsense") == []
