"""What was acknowledged survives kill -9 at any moment (law 8)."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from store_rows import add_person

from scheduler.clock import SystemClock
from scheduler.store import jobs
from scheduler.store.database import Database

pytestmark = pytest.mark.slow

_ROOT = Path(__file__).parents[3]

#: Submits from many threads through one group commit and prints the ids of each answer, once it has it.
_PROGRAM = """
import sys, threading
from store_rows import add_person, submission
from scheduler.clock import SystemClock
from scheduler.store.database import Database
from scheduler.store.group_commit import GroupCommit
from scheduler.store.submissions import Submitter

database = Database(sys.argv[1], clock=SystemClock())
person = add_person(database)
writer, submitter, printing = GroupCommit(database), Submitter(), threading.Lock()

def submit(thread):
    number = 0
    while True:
        number += 1
        key = f"{sys.argv[2]}-{thread}-{number}"
        (answer,) = writer.submit_items(submitter.insert, [submission(person, 3, key=key)]).result()
        with printing:
            print(answer.body, flush=True)

for thread in range(8):
    threading.Thread(target=submit, args=(thread,)).start()
"""


def acknowledged_before_the_kill(database_url: str, round_number: int, answers: int) -> list[int]:
    """Run the program, kill -9 it after about ``answers`` answers, and return every id it printed."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(_ROOT), str(_ROOT / "tests" / "support")])}
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, database_url, str(round_number)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(answers)]
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate()
    complete = [line for line in [*lines, *rest.splitlines(keepends=True)] if line.endswith("\n")]
    assert len(complete) >= answers, "the program ended by itself"
    return [int(id_) for line in complete for id_ in line.split(",")]


def test_every_acknowledged_job_survives_a_kill_at_any_moment(database_url: str) -> None:
    database = Database(database_url, clock=SystemClock())
    database.migrate()
    add_person(database)
    chance = random.Random(20261101)
    acknowledged: list[int] = []
    for round_number in range(4):
        acknowledged += acknowledged_before_the_kill(database_url, round_number, chance.randint(1, 120))
        with database.read() as connection:
            kept = jobs.by_ids(connection, acknowledged)
        assert set(kept) == set(acknowledged)
    assert len(acknowledged) == len(set(acknowledged)), "no id is given twice"
    database.close()
