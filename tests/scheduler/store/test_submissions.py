"""Submissions: jobs, events and remembered answers, written together."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from store_rows import add_person, new_job, submission

from scheduler.model.array_range import ArrayRange
from scheduler.model.dependency import Condition, Dependency
from scheduler.model.reason import ReasonCode, Refusal
from scheduler.store import dependencies, events, idempotency, jobs, shapes
from scheduler.store.database import Database
from scheduler.store.idempotency import Answer, IdempotencyKey
from scheduler.store.people import Person
from scheduler.store.submissions import Submission, Submitter
from scheduler.store.tables import jobs as jobs_table


def insert(database: Database, submitter: Submitter, *submissions: Submission) -> list[Answer | Refusal]:
    return database.run(lambda transaction: submitter.insert(transaction, submissions))


def count_of_jobs(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(jobs_table)).scalar_one()


def test_jobs_get_ids_in_order_with_their_shapes_and_one_event_each(database: Database) -> None:
    person = add_person(database)
    answers = insert(database, Submitter(), submission(person, 2), submission(person, 1))
    assert answers == [Answer(status=201, body="1,2"), Answer(status=201, body="3")]
    with database.read() as connection:
        rows = jobs.by_ids(connection, [1, 2, 3])
        known = shapes.by_id(connection, sorted({row.shape_id for row in rows.values()}))
        history = events.of_job(connection, 2)
    assert [known[rows[id_].shape_id].workers for id_ in (1, 2, 3)] == [1, 2, 1]
    assert rows[1].shape_id == rows[3].shape_id
    assert (rows[2].state, rows[2].gpus, rows[2].epoch, rows[2].cancel_requested) == ("queued", 2, 0, False)
    assert [(event.kind, event.actor, event.data) for event in history] == [
        ("job.submitted", "jiwoo", {"state": "queued"})
    ]
    assert {row.change for row in rows.values()} == {history[0].change}


def test_a_retried_request_has_the_same_answer_and_does_nothing_again(database: Database) -> None:
    person, submitter = add_person(database), Submitter()
    first = insert(database, submitter, submission(person, 3, key="k"))
    again = insert(database, submitter, submission(person, 3, key="k"))
    assert first == [Answer(status=201, body="1,2,3")]
    assert again == [Answer(status=201, body="1,2,3", replayed=True)]
    assert count_of_jobs(database) == 3


def test_a_key_used_for_another_request_is_refused(database: Database) -> None:
    person, submitter = add_person(database), Submitter()
    insert(database, submitter, submission(person, key="k", request_hash="a" * 64))
    (answer,) = insert(database, submitter, submission(person, key="k", request_hash="b" * 64))
    assert isinstance(answer, Refusal)
    assert answer.code is ReasonCode.IDEMPOTENCY_MISMATCH
    assert count_of_jobs(database) == 1


def test_one_key_twice_in_one_batch_acts_once(database: Database) -> None:
    person = add_person(database)
    answers = insert(
        database,
        Submitter(),
        submission(person, 2, key="k"),
        submission(person, 2, key="k"),
        submission(person, 1, key="k", request_hash="f" * 64),
        submission(person, 1, key="other"),
    )
    assert answers[:2] == [Answer(status=201, body="1,2"), Answer(status=201, body="1,2", replayed=True)]
    assert isinstance(answers[2], Refusal)
    assert answers[3] == Answer(status=201, body="3")
    assert count_of_jobs(database) == 3


def test_a_shape_whose_transaction_was_undone_is_not_remembered(database: Database) -> None:
    person, submitter = add_person(database), Submitter()
    stranger = Person(id=99, name="stranger", created_ms=0)
    with pytest.raises(IntegrityError):
        insert(database, submitter, submission(stranger))
    assert insert(database, submitter, submission(person)) == [Answer(status=201, body="1")]
    # A second time by the remembered id, which must be one that exists.
    assert insert(database, submitter, submission(person)) == [Answer(status=201, body="2")]


def test_many_submissions_go_in_at_once(database: Database) -> None:
    person = add_person(database)
    answers = insert(database, Submitter(), *(submission(person, 2, key=f"k{number}") for number in range(700)))
    assert len(answers) == 700
    assert count_of_jobs(database) == 1400


def test_once_acts_once_and_forgets_refusals_and_what_is_old(database: Database) -> None:
    key = IdempotencyKey(caller="1:quota", key="k", request_hash="0" * 64)
    acts: list[str] = []

    def attempt(answer: Answer | Refusal) -> Answer | Refusal:
        def act() -> Answer | Refusal:
            acts.append("act")
            return answer

        return database.run(lambda transaction: idempotency.once(transaction, key, act))

    no = Refusal(reasons=())
    assert attempt(no) is no
    assert attempt(Answer(status=200, body="한 번")) == Answer(status=200, body="한 번")
    assert attempt(Answer(status=200, body="other")) == Answer(status=200, body="한 번", replayed=True)
    assert len(acts) == 2
    with database.write() as transaction:
        assert idempotency.forget_before(transaction, transaction.now_ms + 1) == 1
    assert attempt(Answer(status=200, body="new")) == Answer(status=200, body="new")


def test_arrays_and_waiting_jobs_stand_among_others_with_numbers_in_order(database: Database) -> None:
    person = add_person(database)
    plain = new_job(person)
    array = replace(plain, array=ArrayRange((3, 5), 1), awaits=(Dependency(1, Condition.SUCCESS),))
    waiting = replace(plain, awaits=(Dependency(1, Condition.START), Dependency(3, Condition.SUCCESS)))
    mixed = replace(submission(person), jobs=[plain, array, waiting, plain])
    assert insert(database, Submitter(), submission(person), mixed) == [
        Answer(status=201, body="1"), Answer(status=201, body="2,3,6,7"),
    ]  # fmt: skip
    with database.read() as connection:
        rows = jobs.by_ids(connection, range(1, 9))
        left = dependencies.every(connection)
        kinds = [event.kind for event in events.of_job(connection, 5)]
    assert {
        row.id: (row.awaits, row.array_id, row.array_task, row.array_tasks, row.array_running_max, row.waiter_id)
        for row in rows.values()
    } == {
        **{id_: (False, None, None, None, None, id_) for id_ in (1, 2, 7)},
        4: (True, 3, 3, 2, 1, 3),
        5: (True, 3, 5, 2, 1, 3),
        6: (True, None, None, None, None, 6),
    }
    assert left == {3: [*array.awaits], 6: [*waiting.awaits]}
    assert kinds == ["job.submitted"]
