"""A job's history: every event of it once, wherever a page ends."""

from __future__ import annotations

import pytest
from store_rows import add_person, submission

from scheduler.store import events
from scheduler.store.database import Database
from scheduler.store.submissions import Submitter


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6])
def test_a_page_may_end_within_a_change_and_the_next_goes_on_there(database: Database, limit: int) -> None:
    person, job = add_person(database), 1
    database.run(lambda transaction: Submitter().insert(transaction, [submission(person)]))
    for change in range(2):
        kinds = [f"job.{change}.{part}" for part in range(3)]
        rows = [(kind, job, 1, None, "jiwoo", "", "{}") for kind in kinds]
        database.run(lambda transaction, rows=rows: transaction.add_events(rows))
    with database.read() as connection:
        everything = events.of_job(connection, job)
        found: list[events.Event] = []
        while page := events.of_job(
            connection, job, after=(found[-1].change, found[-1].part) if found else (0, 0), limit=limit
        ):
            assert len(page) <= limit
            found += page
    assert found == everything
    assert [each.kind for each in found[1:]] == [f"job.{change}.{part}" for change in range(2) for part in range(3)]
    assert len({each.change for each in found}) == 3
