"""One contract for both limiters; and what they do while Redis is away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from eventually import eventually

from scheduler.clock import ManualClock
from scheduler.store.limiter import Limiter
from scheduler.store.limiter_memory import MemoryLimiter
from scheduler.store.limiter_redis import RedisLimiter


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.service)])
def limiter(request: pytest.FixtureRequest, clock: ManualClock) -> Iterator[Limiter]:
    made: Limiter
    if request.param == "memory":
        made = MemoryLimiter()
    else:
        made = RedisLimiter(request.getfixturevalue("redis_server").url, clock=clock)
    yield made
    made.close()


def ask(limiter: Limiter, clock: ManualClock, key: str = "token", rate: float = 2.0, burst: int = 3) -> float:
    return limiter.retry_after_seconds(key, rate_per_second=rate, burst=burst, now_ms=clock.now_ms())


def test_a_burst_is_allowed_and_then_the_rate(limiter: Limiter, clock: ManualClock) -> None:
    assert [ask(limiter, clock) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert ask(limiter, clock) == pytest.approx(0.5)
    clock.advance(0.25)
    assert ask(limiter, clock) == pytest.approx(0.25)
    clock.advance(0.25)
    assert ask(limiter, clock) == 0.0
    assert ask(limiter, clock) > 0


def test_being_refused_costs_nothing(limiter: Limiter, clock: ManualClock) -> None:
    for _ in range(20):
        ask(limiter, clock)
    clock.advance(0.5)
    assert ask(limiter, clock) == 0.0


def test_keys_do_not_touch_each_other(limiter: Limiter, clock: ManualClock) -> None:
    for _ in range(4):
        ask(limiter, clock, "one")
    assert ask(limiter, clock, "two") == 0.0


def test_rest_fills_the_bucket_to_its_burst_and_no_further(limiter: Limiter, clock: ManualClock) -> None:
    for _ in range(3):
        ask(limiter, clock)
    clock.advance(3600)
    assert [ask(limiter, clock) > 0 for _ in range(4)] == [False, False, False, True]


def test_a_clock_that_jumps_back_gives_nothing_away_and_blocks_nobody(limiter: Limiter, clock: ManualClock) -> None:
    for _ in range(3):
        ask(limiter, clock)
    clock.jump(-100)
    assert 0 < ask(limiter, clock) <= 0.5
    clock.jump(100.5)
    assert ask(limiter, clock) == 0.0


@pytest.mark.service
def test_two_servers_share_one_bucket(request: pytest.FixtureRequest, clock: ManualClock) -> None:
    url = request.getfixturevalue("redis_server").url
    one, two = (RedisLimiter(url, clock=clock) for _ in range(2))
    assert [ask(one, clock), ask(two, clock), ask(one, clock)] == [0.0, 0.0, 0.0]
    assert ask(two, clock) > 0
    one.close()
    two.close()


@pytest.mark.service
def test_while_redis_is_away_each_process_limits_by_itself(request: pytest.FixtureRequest, clock: ManualClock) -> None:
    server = request.getfixturevalue("redis_server")
    limiter = RedisLimiter(server.url, clock=clock)
    for _ in range(4):
        ask(limiter, clock)
    server.kill()
    assert [ask(limiter, clock) > 0 for _ in range(4)] == [False, False, False, True]
    server.start()
    for _ in range(3):
        ask(limiter, clock, "fresh")
    clock.advance(2)
    other = RedisLimiter(server.url, clock=clock)
    for _ in range(3):
        ask(other, clock, "shared")
    eventually(lambda: ask(limiter, clock, "shared") > 0, 10, "the buckets are shared again")
    limiter.close()
    other.close()


def test_memory_forgets_the_longest_unused_key(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.store.limiter_memory._KEYS_MAX", 2)
    limiter = MemoryLimiter()
    for _ in range(4):
        ask(limiter, clock, "a")
    ask(limiter, clock, "b")
    assert ask(limiter, clock, "a") > 0
    ask(limiter, clock, "c")
    assert ask(limiter, clock, "a") > 0
