"""What is still to come of other jobs, and how those stand, one by one and by the array."""

from __future__ import annotations

from dataclasses import replace

from store_rows import add_person, add_run, add_site, new_job, submission

from scheduler.model.array_range import ArrayRange
from scheduler.model.dependency import Condition, Dependency
from scheduler.store import dependencies, jobs, runs
from scheduler.store.database import Database
from scheduler.store.dependencies import Awaited
from scheduler.store.submissions import Submitter

START, SUCCESS = Condition.START, Condition.SUCCESS


def test_what_is_to_come_is_kept_by_waiter_until_it_is_taken_away(database: Database) -> None:
    own = [Dependency(1, START), Dependency(1, SUCCESS), Dependency(2, SUCCESS)]
    with database.write() as transaction:
        dependencies.add(transaction, [(8, own[2]), (8, own[0]), (8, own[1]), (9, own[0])])
    with database.read() as connection:
        assert dependencies.every(connection) == {8: own, 9: own[:1]}
        assert dependencies.of_waiters(connection, [9, 10]) == {9: own[:1]}
    with database.write() as transaction:
        dependencies.remove(transaction, [8, 11])
    with database.read() as connection:
        assert dependencies.every(connection) == {9: own[:1]}


def test_an_array_stands_as_its_tasks_do_and_a_run_that_started_once_is_remembered(database: Database) -> None:
    person, site = add_person(database), add_site(database)
    array = replace(new_job(person), array=ArrayRange((0, 1, 2, 3), None))
    database.run(lambda each: Submitter().insert(each, [replace(submission(person), jobs=[array, new_job(person)])]))
    run = add_run(database, 4, site.id)
    with database.write() as transaction:
        runs.change(transaction, run, started_ms=5)
        jobs.change(transaction, 5, state="failed")
    with database.read() as connection:
        found = dependencies.awaited(connection, [1, 2, 6, 7])
    assert found == {
        1: [
            Awaited(1, 2, 1, "queued", False, 2),
            Awaited(1, 4, 1, "queued", True, 1),
            Awaited(1, 5, 1, "failed", False, 1),
        ],
        2: [Awaited(2, 2, 1, "queued", False, 1)],
        6: [Awaited(6, 6, 1, "queued", False, 1)],
    }
