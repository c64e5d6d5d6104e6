"""Following by change number: nothing is missed, whoever writes meanwhile."""

from __future__ import annotations

import random
import threading

from sqlalchemy import select
from store_rows import add_jobs, add_person, submission

from scheduler.clock import SystemClock
from scheduler.store import events, follow, jobs
from scheduler.store.database import Database
from scheduler.store.group_commit import GroupCommit
from scheduler.store.people import Person
from scheduler.store.submissions import Submitter
from scheduler.store.tables import jobs as jobs_table
from scheduler.store.transaction import WriteTransaction


def test_a_page_never_splits_a_change(database: Database) -> None:
    person = add_person(database)
    sizes = [1, 5, 2, 7, 1]
    for size in sizes:
        add_jobs(database, person, size)
    seen: list[int] = []
    change, more = 0, True
    while more:
        with database.read() as connection:
            page = follow.changed_since(connection, jobs_table, change, rows_max=3)
        whole = [row.id for row in page.rows]
        # Ids were given in order, so a page of whole changes ends where a submission ends.
        assert not whole or max(whole) in {sum(sizes[: number + 1]) for number in range(len(sizes))}
        seen += whole
        change, more = page.change, page.more
    assert seen == list(range(1, sum(sizes) + 1))


def test_an_empty_page_goes_on_from_the_newest_change(database: Database) -> None:
    person = add_person(database)
    add_jobs(database, person, 2)
    with database.read() as connection:
        newest = follow.latest_change(connection)
        page = follow.changed_since(connection, jobs_table, newest)
        filtered = follow.changed_since(connection, jobs_table, 0, where=jobs_table.c.state == "held")
    assert (list(page.rows), page.change, page.more) == ([], newest, False)
    assert (list(filtered.rows), filtered.change) == ([], newest)


def test_a_follower_may_choose_columns_and_sees_a_row_as_it_is_now(database: Database) -> None:
    person = add_person(database)
    add_jobs(database, person, 2)
    with database.write() as transaction:
        jobs.change(transaction, 1, state="held")
    with database.read() as connection:
        page = follow.changed_since(connection, jobs_table, 0, columns=[jobs_table.c.id, jobs_table.c.state])
    assert [tuple(row) for row in page.rows] == [(2, "queued"), (1, "held")]


def test_events_are_followed_in_the_order_they_happened(database: Database) -> None:
    for number in range(5):
        with database.write() as transaction:
            for part in range(number + 1):
                transaction.event("x", actor=f"{number}.{part}", site_id=number)
    seen: list[str] = []
    change, more = 0, True
    while more:
        with database.read() as connection:
            page = events.after(connection, change, rows_max=2)
        seen += [event.actor for event in page.events]
        change, more = page.change, page.more
    assert seen == [f"{number}.{part}" for number in range(5) for part in range(number + 1)]


class Follower:
    """Keeps a copy of every job's last change, by following while others write."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.change = 0
        self.copy: dict[int, tuple[str, int]] = {}

    def step(self, rows_max: int) -> None:
        """Follow one page; numbers must only grow."""
        with self._database.read() as connection:
            page = follow.changed_since(connection, jobs_table, self.change, rows_max=rows_max)
        assert all(row.change > self.change for row in page.rows)
        assert page.change >= self.change
        self.copy |= {row.id: (row.state, row.change) for row in page.rows}
        self.change = page.change


def write_at_random(database: Database, writer: GroupCommit, person: Person, seed: int) -> None:
    """Submit through group commit, and change single jobs in transactions of one's own."""
    chance = random.Random(seed)
    submitter = Submitter()
    for _ in range(15):
        if chance.random() < 0.5:
            writer.submit_items(submitter.insert, [submission(person, chance.randint(1, 4))]).result(30)
            continue
        state = chance.choice(["held", "queued", "cancelled"])

        def act(transaction: WriteTransaction, state: str = state) -> None:
            _ = transaction.change
            ids = transaction.connection.execute(select(jobs_table.c.id)).scalars().all()
            if ids:
                jobs.change(transaction, chance.choice(ids), state=state)

        database.run(act)


def test_a_follower_never_misses_a_change_of_concurrent_writers(database_url: str) -> None:
    # Two Databases, so that writers meet in the database and not in the process.
    one, two = (Database(database_url, clock=SystemClock()) for _ in range(2))
    one.migrate()
    person = add_person(one)
    writers = [GroupCommit(one), GroupCommit(two)]
    threads = [
        threading.Thread(target=write_at_random, args=(database, writer, person, seed))
        for seed, (database, writer) in enumerate([(one, writers[0]), (two, writers[1])] * 2)
    ]
    follower, chance = Follower(one), random.Random(7)
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        follower.step(chance.randint(1, 5))
    with one.read() as connection:
        newest = follow.latest_change(connection)
        truth = {row.id: (row.state, row.change) for row in connection.execute(select(jobs_table))}
    while follower.change < newest:
        follower.step(3)
    assert truth
    assert follower.copy == truth
    for writer in writers:
        writer.close()
    one.close()
    two.close()
