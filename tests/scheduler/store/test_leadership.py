"""One leader at a time, and no commit by one that was."""

from __future__ import annotations

import threading

import pytest

from scheduler.clock import ManualClock
from scheduler.model.errors import LeadershipLost
from scheduler.store import leadership, people
from scheduler.store.database import Database
from scheduler.store.fence import Fence


def acquire(database: Database, holder: str, clock: ManualClock) -> Fence | None:
    return leadership.acquire(database, name="scheduler", holder=holder, duration_ms=10_000, now_ms=clock.now_ms())


def led(database: Database, holder: str, clock: ManualClock) -> Fence:
    fence = acquire(database, holder, clock)
    assert fence is not None
    return fence


def test_a_second_contender_waits_until_the_lease_is_over(database: Database, clock: ManualClock) -> None:
    first = led(database, "a", clock)
    clock.advance(9.999)
    assert acquire(database, "b", clock) is None
    clock.advance(0.001)
    assert led(database, "b", clock).number == first.number + 1


def test_renewing_keeps_the_number_and_the_lead(database: Database, clock: ManualClock) -> None:
    fence = led(database, "a", clock)
    clock.advance(9)
    assert leadership.renew(database, fence, duration_ms=10_000, now_ms=clock.now_ms())
    clock.advance(9)
    assert acquire(database, "b", clock) is None
    with database.write(fence) as transaction:
        people.ensure(transaction, "jiwoo")


def test_a_stale_leader_can_neither_commit_nor_renew(database: Database, clock: ManualClock) -> None:
    stale = led(database, "a", clock)
    clock.advance(10)
    fresh = led(database, "b", clock)
    with pytest.raises(LeadershipLost, match="a held fence 1"), database.write(stale) as transaction:
        people.ensure(transaction, "stale")
    assert not leadership.renew(database, stale, duration_ms=10_000, now_ms=clock.now_ms())
    with database.write(fresh) as transaction:
        people.ensure(transaction, "fresh")
    with database.read() as connection:
        assert [person.name for person in people.every(connection)] == ["fresh"]


def test_an_expired_lease_that_nobody_took_still_commits(database: Database, clock: ManualClock) -> None:
    fence = led(database, "a", clock)
    clock.advance(60)
    with database.write(fence) as transaction:
        people.ensure(transaction, "jiwoo")


def test_a_fence_that_was_never_given_is_refused(database: Database) -> None:
    fence = Fence(name="scheduler", holder="a", number=1)
    with pytest.raises(LeadershipLost), database.write(fence):
        raise AssertionError("never reached")


def test_releasing_lets_another_lead_at_once_and_the_number_grows_on(database: Database, clock: ManualClock) -> None:
    first = led(database, "a", clock)
    leadership.release(database, first)
    with pytest.raises(LeadershipLost), database.write(first):
        raise AssertionError("never reached")
    assert led(database, "b", clock).number > first.number
    leadership.release(database, first)
    assert acquire(database, "c", clock) is None


def test_a_restarted_holder_gets_a_new_number(database: Database, clock: ManualClock) -> None:
    before = led(database, "a", clock)
    after = led(database, "a", clock)
    assert after.number > before.number
    with pytest.raises(LeadershipLost), database.write(before):
        raise AssertionError("never reached")


def test_of_many_contenders_at_once_exactly_one_leads(database: Database, clock: ManualClock) -> None:
    numbers: list[int] = []
    # The first round finds no row, the later ones a lease that ran out.
    for round_number in range(5):
        together = threading.Barrier(6)
        fences: list[Fence] = []

        def contend(holder: str, together: threading.Barrier = together, fences: list[Fence] = fences) -> None:
            together.wait()
            fence = acquire(database, holder, clock)
            if fence is not None:
                fences.append(fence)

        threads = [threading.Thread(target=contend, args=(f"{round_number}-{number}",)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        numbers += [fence.number for fence in fences]
        clock.advance(10)
    assert numbers == [1, 2, 3, 4, 5]


def test_no_takeover_slips_between_the_check_and_the_commit(database: Database, clock: ManualClock) -> None:
    stale = led(database, "a", clock)
    clock.advance(10)
    taken = threading.Event()

    def take_over() -> None:
        led(database, "b", clock)
        taken.set()

    contender = threading.Thread(target=take_over)
    with database.write(stale) as transaction:
        contender.start()
        people.ensure(transaction, "jiwoo")
        # The contender has every chance to run now; it must wait for this commit.
        assert not taken.wait(0.3)
    contender.join(20)
    assert taken.is_set()
    with pytest.raises(LeadershipLost), database.write(stale):
        raise AssertionError("never reached")
