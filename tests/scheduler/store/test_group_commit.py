"""Group commit: shared transactions, lonely failures, and nothing told before it is durable."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future

import pytest
from sqlalchemy import event, insert
from sqlalchemy.exc import IntegrityError

from scheduler.model.errors import StoreUnavailable
from scheduler.model.reason import ReasonCode, Refusal
from scheduler.store import people
from scheduler.store.database import Database
from scheduler.store.group_commit import GroupCommit
from scheduler.store.people import Person
from scheduler.store.tables import people as people_table
from scheduler.store.transaction import WriteTransaction


class Gate:
    """Holds the writer inside a command, so that what is submitted meanwhile shares the next transaction."""

    def __init__(self, writer: GroupCommit) -> None:
        self._open = threading.Event()
        inside = threading.Event()

        def command(_: WriteTransaction) -> None:
            inside.set()
            self._open.wait(10)

        self.done = writer.submit(command)
        assert inside.wait(10)

    def open(self) -> None:
        """Let the writer go on."""
        self._open.set()


@pytest.fixture
def writer(database: Database) -> Iterator[GroupCommit]:
    group_commit = GroupCommit(database)
    yield group_commit
    group_commit.close()


def named(name: str) -> object:
    return lambda transaction: people.ensure(transaction, name)


def add(transaction: WriteTransaction, names: Sequence[str]) -> list[int]:
    """A kind of work: all rows in one statement, and the change that they share."""
    rows = [{"name": name, "created_ms": 1} for name in names]
    transaction.connection.execute(insert(people_table), rows)
    return [transaction.change for _ in names]


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return [person.name for person in people.every(connection)]


def test_a_result_is_told_only_when_others_can_read_it(database: Database, writer: GroupCommit) -> None:
    seen: list[list[str]] = []
    future = writer.submit(lambda transaction: people.ensure(transaction, "jiwoo"))
    future.add_done_callback(lambda _: seen.append(names(database)))
    assert isinstance(future.result(10), Person)
    writer.close()
    assert seen == [["jiwoo"]]


def test_what_waits_together_shares_one_transaction(writer: GroupCommit) -> None:
    gate = Gate(writer)
    changes = [writer.submit(lambda transaction: transaction.change) for _ in range(20)]
    items = [writer.submit_items(add, [f"a{number}", f"b{number}"]) for number in range(20)]
    gate.open()
    first = changes[0].result(10)
    assert {future.result(10) for future in changes} == {first}
    assert all(future.result(10) == [first, first] for future in items)


def test_a_failing_command_fails_alone(database: Database, writer: GroupCommit) -> None:
    gate = Gate(writer)

    def broken(transaction: WriteTransaction) -> None:
        people.ensure(transaction, "undone")
        transaction.event("person.added", actor="nobody")
        raise ValueError("mine alone")

    before = writer.submit(lambda transaction: people.ensure(transaction, "before"))
    failing = writer.submit(broken)
    after = writer.submit(lambda transaction: people.ensure(transaction, "after"))
    gate.open()
    assert isinstance(before.result(10), Person)
    with pytest.raises(ValueError, match="mine alone"):
        failing.result(10)
    assert isinstance(after.result(10), Person)
    assert names(database) == ["after", "before"]


def test_a_statement_that_the_database_refuses_fails_alone(database: Database, writer: GroupCommit) -> None:
    gate = Gate(writer)
    good = [writer.submit_items(add, [name]) for name in ("a", "b")]
    twice = writer.submit_items(add, ["c", "c"])
    gate.open()
    assert all(future.exception(10) is None for future in good)
    assert isinstance(twice.exception(10), IntegrityError)
    assert names(database) == ["a", "b"]


def test_an_event_that_cannot_be_written_fails_its_command_alone(database: Database, writer: GroupCommit) -> None:
    gate = Gate(writer)
    bad = writer.submit(lambda transaction: transaction.add_events([(None, 1, 1, 1, "x", "", "{}")]))  # type: ignore[list-item]
    good = writer.submit(lambda transaction: people.ensure(transaction, "good"))
    gate.open()
    assert isinstance(bad.exception(10), IntegrityError)
    assert isinstance(good.result(10), Person)


def test_a_failed_commit_fails_everybody_in_it_and_nobody_later(database: Database, writer: GroupCommit) -> None:
    gate = Gate(writer)
    futures: list[Future[Person | Refusal]] = [
        writer.submit(lambda transaction, name=name: people.ensure(transaction, name)) for name in ("a", "b")
    ]

    def broken(_: object) -> None:
        raise StoreUnavailable("the disk is full")

    gate_opened = threading.Event()

    def break_from_now(_: object) -> None:
        event.listen(database._engine, "commit", broken)
        gate_opened.set()

    gate.done.add_done_callback(break_from_now)
    gate.open()
    assert gate_opened.wait(10)
    for future in futures:
        assert isinstance(future.exception(10), StoreUnavailable)
    event.remove(database._engine, "commit", broken)
    assert isinstance(writer.submit(lambda transaction: people.ensure(transaction, "later")).result(10), Person)
    assert names(database) == ["later"]


def test_too_much_waiting_is_refused_and_never_queued(database: Database) -> None:
    writer = GroupCommit(database, waiting_weight_max=5)
    gate = Gate(writer)
    fits = writer.submit_items(add, ["a", "b", "c", "d"])
    refused = writer.submit_items(add, ["e", "f"])
    last = writer.submit_items(add, ["g"])
    assert writer.waiting_weight() == 5
    gate.open()
    answer = refused.result(10)
    assert isinstance(answer, Refusal)
    assert answer.code is ReasonCode.NOT_READY
    fits.result(10)
    last.result(10)
    writer.close()
    assert names(database) == ["a", "b", "c", "d", "g"]


def test_one_transaction_takes_no_more_than_its_share_but_always_something(database: Database) -> None:
    writer = GroupCommit(database, transaction_weight_max=3)
    gate = Gate(writer)
    small = [writer.submit_items(add, [f"{number}"]) for number in range(4)]
    big = writer.submit_items(add, [f"big{number}" for number in range(10)])
    gate.open()
    changes = [future.result(10)[0] for future in small]  # type: ignore[index]
    assert changes[0] == changes[1] == changes[2]
    assert changes[3] == changes[0] + 1
    assert len(big.result(10)) == 10  # type: ignore[arg-type]
    writer.close()


def test_closing_finishes_what_waits_and_refuses_what_comes_later(database: Database) -> None:
    writer = GroupCommit(database)
    gate = Gate(writer)
    waiting = [writer.submit_items(add, [f"{number}"]) for number in range(5)]
    gate.open()
    writer.close()
    assert all(future.done() and future.exception() is None for future in waiting)
    late = writer.submit_items(add, ["late"]).result(0)
    assert isinstance(late, Refusal)
    assert names(database) == ["0", "1", "2", "3", "4"]


def test_work_that_was_cancelled_before_its_turn_is_not_done(database: Database, writer: GroupCommit) -> None:
    gate = Gate(writer)
    given_up = writer.submit_items(add, ["given-up"])
    assert given_up.cancel()
    gate.open()
    writer.submit_items(add, ["next"]).result(10)
    assert names(database) == ["next"]


def test_coroutines_are_told_results_errors_and_refusals(database: Database) -> None:
    writer = GroupCommit(database, waiting_weight_max=4)

    def broken(_: WriteTransaction) -> None:
        raise ValueError("mine alone")

    async def submit() -> list[object]:
        gate = Gate(writer)
        futures = [
            writer.submit_items_async(add, ["a", "b"]),
            writer.submit_async(broken),
            writer.submit_async(lambda transaction: people.ensure(transaction, "c").name),
            writer.submit_async(lambda transaction: people.ensure(transaction, "too much")),
        ]
        gate.open()
        return await asyncio.gather(*futures, return_exceptions=True)

    rows, error, name, refusal = asyncio.run(submit())
    writer.close()
    assert isinstance(rows, list)
    assert isinstance(error, ValueError)
    assert name == "c"
    assert isinstance(refusal, Refusal)
    assert names(database) == ["a", "b", "c"]


def test_a_coroutine_that_gave_up_before_its_turn_changes_nothing(database: Database, writer: GroupCommit) -> None:
    async def give_up() -> None:
        gate = Gate(writer)
        future = writer.submit_items_async(add, ["given-up"])
        future.cancel()
        gate.open()
        await writer.submit_items_async(add, ["next"])

    asyncio.run(give_up())
    assert names(database) == ["next"]
