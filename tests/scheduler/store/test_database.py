"""How transactions begin, end and fail."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from scheduler.clock import ManualClock
from scheduler.model.errors import ConfigurationError, InvariantBroken, StoreUnavailable
from scheduler.store import people
from scheduler.store.bus_memory import MemoryBus
from scheduler.store.database import Database
from scheduler.store.follow import latest_change
from scheduler.store.tables import events, memberships
from scheduler.store.tables import people as people_table
from scheduler.store.transaction import WriteTransaction


def test_what_was_written_is_there_and_what_was_interrupted_is_not(database: Database) -> None:
    with database.write() as transaction:
        people.ensure(transaction, "kept")
    with pytest.raises(RuntimeError, match="halfway"), database.write() as transaction:
        people.ensure(transaction, "undone")
        raise RuntimeError("halfway")
    with database.read() as connection:
        assert [person.name for person in people.every(connection)] == ["kept"]


def test_a_read_sees_one_moment_however_long_it_lasts(database: Database) -> None:
    with database.read() as connection:
        before = latest_change(connection)
        with database.write() as transaction:
            people.ensure(transaction, "late")
        assert latest_change(connection) == before
        assert people.every(connection) == []
    with database.read() as connection:
        assert latest_change(connection) == before + 1


def test_a_read_transaction_cannot_write(database: Database) -> None:
    with pytest.raises((DBAPIError, StoreUnavailable)), database.read() as connection:
        connection.execute(insert(people_table).values(name="x", created_ms=1))
    with database.write() as transaction:
        people.ensure(transaction, "y")


def test_foreign_keys_are_held(database: Database) -> None:
    with pytest.raises(IntegrityError), database.write() as transaction:
        row = {"person_id": 99, "group_id": 1, "role": "viewer", "change": transaction.change}
        transaction.connection.execute(insert(memberships).values(row))


def test_one_change_number_a_transaction_without_gaps_after_a_rollback(database: Database) -> None:
    with database.write() as transaction:
        first = transaction.change
        assert transaction.change == first
    with pytest.raises(RuntimeError), database.write() as transaction:
        assert transaction.change == first + 1
        raise RuntimeError
    with database.write() as transaction:
        assert transaction.change == first + 1


def test_ids_are_consecutive_and_never_given_twice(database: Database) -> None:
    with database.write() as transaction:
        assert list(transaction.next_ids("job", 3)) == [1, 2, 3]
        assert list(transaction.next_ids("job")) == [4]
    with database.write() as transaction:
        assert list(transaction.next_ids("job", 2)) == [5, 6]
        assert list(transaction.next_ids("run", 0)) == []


def test_events_carry_the_change_and_are_numbered_within_it(database: Database, clock: ManualClock) -> None:
    with database.write() as transaction:
        transaction.event("quota.set", actor="jiwoo", group_id=1, why="계획", data={"guaranteed": 8})
        transaction.event("quota.set", actor="jiwoo", group_id=1)
    with database.read() as connection:
        rows = connection.execute(select(events).order_by(events.c.part)).all()
    assert [(row.change, row.part) for row in rows] == [(2, 0), (2, 1)]
    assert (rows[0].at_ms, rows[0].why, rows[0].data) == (clock.now_ms(), "계획", {"guaranteed": 8})


def test_a_savepoint_takes_back_its_rows_events_messages_and_change(database: Database) -> None:
    with database.write() as transaction:
        with pytest.raises(RuntimeError), transaction.savepoint():
            people.ensure(transaction, "undone")
            transaction.event("person.added", actor="x")
            transaction.after_commit("scheduler")
            raise RuntimeError
        with transaction.savepoint():
            people.ensure(transaction, "kept")
            transaction.event("person.added", actor="y")
        transaction.event("person.added", actor="z")
    with database.read() as connection:
        assert [person.name for person in people.every(connection)] == ["kept"]
        rows = connection.execute(select(events.c.actor, events.c.part).order_by(events.c.part)).all()
        assert [tuple(row) for row in rows] == [("y", 0), ("z", 1)]
        assert latest_change(connection) == 2


def test_messages_go_out_once_and_only_after_the_commit(database_url: str, clock: ManualClock) -> None:
    bus = MemoryBus()
    database = Database(database_url, clock=clock, bus=bus)
    database.migrate()
    with bus.subscribe("scheduler", "events") as subscription:
        with database.write() as transaction:
            transaction.after_commit("scheduler")
            transaction.after_commit("scheduler")
            transaction.event("x", actor="y")
            assert subscription.wait(0) == []
        assert sorted(subscription.wait(1)) == [("events", b"2"), ("scheduler", b"")]
        with pytest.raises(RuntimeError), database.write() as transaction:
            transaction.after_commit("scheduler")
            raise RuntimeError
        assert subscription.wait(0) == []
    database.close()


def test_a_write_inside_a_write_of_the_same_thread_is_told_instead_of_hanging(
    tmp_path: Path, clock: ManualClock
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'record.db'}", clock=clock)
    database.migrate()
    with database.write(), pytest.raises(InvariantBroken), database.write():
        raise AssertionError("never reached")
    database.close()


def test_contention_is_tried_again_a_bounded_number_of_times(database: Database) -> None:
    attempts = 0

    def busy(transaction: WriteTransaction) -> int:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise _contention(database)
        return transaction.change

    assert database.run(busy) == 2
    assert attempts == 3


def test_a_database_that_is_away_is_a_fault_of_the_store(clock: ManualClock, tmp_path: Path) -> None:
    for url in (
        "postgresql+psycopg://nobody@127.0.0.1:1/none",
        f"sqlite:///{tmp_path}/no/such/folder/record.db",
    ):
        database = Database(url, clock=clock)
        with pytest.raises(StoreUnavailable), database.read():
            raise AssertionError("never reached")
        database.close()


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite://", "sqlite:///:memory:", "nonsense"])
def test_a_url_that_cannot_be_used_is_refused_with_the_mend(url: str, clock: ManualClock) -> None:
    with pytest.raises(ConfigurationError, match="sqlite:///path"):
        Database(url, clock=clock)


def _contention(database: Database) -> DBAPIError:
    class BusyError(Exception):
        sqlstate = "40P01" if database.dialect == "postgresql" else None
        sqlite_errorname = "SQLITE_BUSY"

    return DBAPIError("UPDATE", None, BusyError())


def test_what_follows_a_commit_may_fail_and_the_commit_stands(database: Database) -> None:
    told: list[str] = []

    def failing() -> None:
        raise ValueError("a fault in a callback")

    with database.write() as transaction:
        transaction.event("made.up", actor="jiwoo")
        transaction.on_commit(failing)
        transaction.on_commit(lambda: told.append("second"))
    assert told == ["second"]
    with database.read() as connection:
        assert connection.execute(select(events.c.kind)).scalars().all() == ["made.up"]
