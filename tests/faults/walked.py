"""What must hold after a round, read from the store and from the files that the processes and the agent wrote."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, text


class Record:
    """The store of a federation whose processes were killed."""

    def __init__(self, url: str) -> None:
        self._engine: Engine = create_engine(url)

    def rows(self, statement: str) -> list[Any]:
        """The rows of one statement."""
        with self._engine.connect() as connection:
            return list(connection.execute(text(statement)))

    def close(self) -> None:
        """Let go of the connections."""
        self._engine.dispose()

    def unended_jobs(self) -> int:
        """Jobs that are not at their end yet."""
        return int(self.rows("SELECT count(*) FROM jobs WHERE state NOT IN ('succeeded', 'failed', 'cancelled')")[0][0])


def assert_every_job_ended_once(record: Record, jobs: int) -> None:
    """Each job is there, has succeeded, and has one event that says so."""
    assert record.rows("SELECT state, count(*) FROM jobs GROUP BY state") == [("succeeded", jobs)]
    ends = Counter(
        row.job_id
        for row in record.rows("SELECT job_id, data FROM events WHERE kind = 'job.state'")
        if _data(row.data)["state"] in ("succeeded", "failed", "cancelled")
    )
    assert len(ends) == jobs and set(ends.values()) == {1}


def assert_nothing_ran_twice(done: Path, jobs: int) -> None:
    """Each process wrote ``begin JOB EPOCH`` and ``end JOB EPOCH``: no epoch began twice, one a job came to its end."""
    lines = [line.split() for line in done.read_text(encoding="utf-8").splitlines()]
    begins = Counter((job, epoch) for what, job, epoch in lines if what == "begin")
    assert max(begins.values()) == 1, [each for each, times in begins.items() if times > 1]
    ends = Counter(job for what, job, _ in lines if what == "end")
    assert len(ends) == jobs and set(ends.values()) == {1}, [job for job, times in ends.items() if times > 1]


def assert_ledger_equals_what_the_agent_recorded(record: Record, ended: Path) -> None:
    """Debits are the agent's intervals to the millisecond; every run's entries sum to zero."""
    reports = [json.loads(line) for line in ended.read_text(encoding="utf-8").splitlines()]
    recorded = {
        report["run_id"]: report["ended_ms"] - report["started_ms"]
        for report in reports
        if report["started_ms"] is not None
    }
    gpus = {row.id: row.gpus for row in record.rows("SELECT id, gpus FROM runs")}
    charged = {
        row.run_id: int(row.total)
        for row in record.rows(
            "SELECT run_id, sum(gpu_milliseconds) AS total FROM ledger WHERE account_kind <> 'provider' GROUP BY run_id"
        )
    }
    expected = {run: gpus[run] * duration for run, duration in recorded.items() if duration}
    assert {run: total for run, total in charged.items() if total} == expected
    sums = record.rows("SELECT run_id FROM ledger GROUP BY run_id HAVING sum(gpu_milliseconds) <> 0")
    assert sums == []


def assert_no_gpu_is_held(record: Record) -> None:
    """No run is live."""
    assert record.rows("SELECT id FROM runs WHERE phase <> 'ended'") == []


def _data(value: Any) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(value) if isinstance(value, str) else value
    return data
