"""Migrations: they make the tables that the code declares, whoever starts first."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select
from store_rows import add_jobs, add_person, add_run, add_site, shape, shape_id

from scheduler.clock import ManualClock
from scheduler.cycle.prediction import Like, RunTimes, Scope
from scheduler.model.job_spec import CheckpointSpec
from scheduler.store import class_speeds, dependencies, groups, jobs, run_times, runs
from scheduler.store.database import Database
from scheduler.store.migrate import configuration
from scheduler.store.tables import counters, metadata


def test_the_migrations_make_exactly_the_tables_of_the_code(database: Database) -> None:
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_a_fresh_record_holds_its_counters_and_the_federation(database: Database) -> None:
    with database.read() as connection:
        counts = {row.name: row.value for row in connection.execute(select(counters))}
        root = groups.by_path(connection, groups.ROOT_PATH)
    assert counts == {"change": 1, "job": 0, "run": 0}
    assert root is not None
    assert (root.kind, root.sector, root.data_class, root.parent_id) == ("federation", "national", "O", None)
    assert root.output_bytes_max == 256 * 1024 * 1024


def test_migrating_again_changes_nothing(database: Database) -> None:
    database.migrate()
    assert database.migrated()
    with database.read() as connection:
        assert len(groups.every(connection)) == 1


def test_migrations_need_no_file_of_the_working_directory(
    database_url: str, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    database = Database(database_url, clock=clock)
    assert not database.migrated()
    database.migrate()
    assert database.migrated()
    database.close()


def test_processes_that_start_at_once_migrate_once(database_url: str, clock: ManualClock) -> None:
    together = threading.Barrier(4)
    errors: list[Exception] = []

    def start() -> None:
        # A Database of its own: nothing is shared but the database itself, as between processes.
        own = Database(database_url, clock=clock)
        together.wait()
        try:
            own.migrate()
        except Exception as error:
            errors.append(error)
        finally:
            own.close()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    database = Database(database_url, clock=clock)
    assert database.migrated()
    with database.read() as connection:
        assert len(groups.every(connection)) == 1
    database.close()


def test_runs_that_were_live_before_stops_came_are_told_what_their_jobs_asked_for(database: Database) -> None:
    site, person = add_site(database), add_person(database)
    firm = shape_id(database, replace(shape(), preemptible=False))
    plain, saving, hasty, over = add_jobs(database, person, 4)
    run_ids = [add_run(database, job, site.id) for job in (plain, saving, hasty, over)]
    with database.write() as transaction:
        jobs.change(transaction, plain, shape_id=firm, priority=100)
        jobs.change(transaction, saving, spec='{"checkpoint":{}}')
        jobs.change(transaction, hasty, spec='{"checkpoint":{"grace":5}}')
        runs.change(transaction, run_ids[3], phase="ended")
    with database.write() as transaction:
        config = configuration()
        config.attributes["connection"] = transaction.connection
        command.downgrade(config, "0005")
    assert not database.migrated()
    database.migrate()
    with database.read() as connection:
        known = runs.by_ids(connection, run_ids)
    assert [
        (run.preemptible, run.priority, run.grace_ms, run.checkpoints) for run in map(known.__getitem__, run_ids)
    ] == [
        (False, 100, 10_000, False),
        (True, 0, 60_000, True),
        (True, 0, 5_000, True),
        (True, 0, 0, False),
    ]
    with database.read() as connection:
        defaults = CheckpointSpec().grace_seconds
        assert (known[run_ids[1]].grace_ms, jobs.by_ids(connection, [plain])[plain].earmark) == (defaults * 1000, None)


def test_jobs_and_runs_that_lived_before_forecasts_came_are_told_their_walltimes(database: Database) -> None:
    site, person = add_site(database), add_person(database)
    plain, timed, over, saving, elsewhere = add_jobs(database, person, 5)
    run_ids = [add_run(database, job, site.id) for job in (plain, timed, over, saving, elsewhere)]
    with database.write() as transaction:
        jobs.change(transaction, timed, spec='{"walltime":90}')
        jobs.change(transaction, over, spec='{"walltime":90}', state="failed")
        jobs.change(transaction, saving, spec='{"checkpoint":{}}')
        jobs.change(transaction, elsewhere, spec='{"checkpoint":{"directory":"/mine"}}')
        runs.change(transaction, run_ids[2], phase="ended")
    with database.write() as transaction:
        config = configuration()
        config.attributes["connection"] = transaction.connection
        command.downgrade(config, "0006")
    database.migrate()
    with database.read() as connection:
        known_jobs = jobs.by_ids(connection, [plain, timed, over, saving, elsewhere])
        known_runs = runs.by_ids(connection, run_ids)
    known = [known_runs[run_id] for run_id in run_ids]
    assert [known_jobs[job].walltime_ms for job in (plain, timed, over)] == [None, 90_000, None]
    assert [run.walltime_ms for run in known] == [None, 90_000, None, None, None]
    assert [run.return_site_id for run in known] == [None, None, None, site.id, None]
    assert [(run.shape_id, run.submitted_ms) for run in known] == [
        (None, None) if job == over else (known_jobs[job].shape_id, known_jobs[job].submitted_ms)
        for job in (plain, timed, over, saving, elsewhere)
    ]


def test_jobs_that_waited_before_offers_came_are_told_what_they_need_to_save_their_state(database: Database) -> None:
    plain, saving, hasty, over = add_jobs(database, add_person(database), 4)
    with database.write() as transaction:
        jobs.change(transaction, saving, spec='{"checkpoint":{}}')
        jobs.change(transaction, hasty, spec='{"checkpoint":{"grace":5}}')
        jobs.change(transaction, over, spec='{"checkpoint":{}}', state="succeeded")
    with database.write() as transaction:
        config = configuration()
        config.attributes["connection"] = transaction.connection
        command.downgrade(config, "0007")
    database.migrate()
    with database.read() as connection:
        known = jobs.by_ids(connection, [plain, saving, hasty, over])
    assert [known[job].save_ms for job in (plain, saving, hasty, over)] == [
        None, CheckpointSpec().grace_seconds * 1000, 5_000, None,
    ]  # fmt: skip


def test_jobs_that_were_there_before_dependencies_came_wait_for_no_other(database: Database) -> None:
    (job,) = add_jobs(database, add_person(database))
    with database.write() as transaction:
        config = configuration()
        config.attributes["connection"] = transaction.connection
        command.downgrade(config, "0008")
    assert not database.migrated()
    database.migrate()
    with database.read() as connection:
        row = jobs.by_ids(connection, [job])[job]
        assert dependencies.every(connection) == {}
    assert (row.awaits, row.array_id, row.array_task, row.array_tasks, row.array_running_max) == (False, *[None] * 4)


def test_run_times_from_before_classes_were_kept_stay_known_of_all_classes_together(database: Database) -> None:
    like = Like(Scope.SIZE, 0, 8)
    known = RunTimes()
    known.saw([like], 40, "h100")
    known.saw([like], 60, "a100")
    with database.write() as transaction:
        _ = transaction.change
        run_times.put(transaction, known, (like, like.on("h100"), like.on("a100")))
    with database.write() as transaction:
        config = configuration()
        config.attributes["connection"] = transaction.connection
        command.downgrade(config, "0013")
    database.migrate()
    with database.read() as connection:
        found = run_times.of(connection, [like])
    assert (found.last_ms(like), found.last_ms(like.on("h100"))) == ((40, 60), ())


def test_a_prediction_from_before_speeds_is_kept_and_nothing_is_known_of_its_class(database: Database) -> None:
    (job,) = add_jobs(database, add_person(database))
    with database.write() as transaction:
        _ = transaction.change
        jobs.change(transaction, job, predicted_ms=40, predicted_from="person", class_basis="measured")
        class_speeds.put(transaction, "h100", 2.0)
    with database.write() as transaction:
        config = configuration()
        config.attributes["connection"] = transaction.connection
        command.downgrade(config, "0019")
    database.migrate()
    with database.read() as connection:
        row = jobs.by_ids(connection, [job])[job]
        assert class_speeds.every(connection) == {}
    assert (row.predicted_ms, row.predicted_from, row.class_basis) == (40, "person", None)
