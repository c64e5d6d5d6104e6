"""Each noun's queries, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import null, select
from sqlalchemy.exc import IntegrityError
from store_rows import add_group, add_jobs, add_person, add_run, add_site, shape, shape_id

from quota.ledger import RunInterval, charge, correction
from scheduler.model.wire import NodeReport
from scheduler.store import (
    class_speeds,
    gpu_classes,
    groups,
    jobs,
    ledger,
    memberships,
    nodes,
    people,
    quotas,
    runs,
    shapes,
    sites,
    tables,
    tokens,
)
from scheduler.store.database import Database
from scheduler.store.jobs import JobFilter


def test_a_person_is_made_once(database: Database) -> None:
    first, again = add_person(database, "지우"), add_person(database, "지우")
    assert first == again
    with database.read() as connection:
        assert people.by_name(connection, "지우") == people.by_id(connection, first.id) == first
        assert people.by_name(connection, "nobody") is None


def test_a_moved_group_takes_what_lies_below_along_and_nothing_else(database: Database) -> None:
    public, research = add_group(database, "public"), add_group(database, "research")
    kisti = add_group(database, "public.kisti", "institution", public.id)
    climate = add_group(database, "public.kisti.climate", "project", kisti.id)
    lookalike = add_group(database, "public.kisti-2", "institution", public.id)
    with database.write() as transaction:
        assert groups.move(transaction, kisti, parent_id=research.id, path="research.kisti", sector="research") == 2
    with database.read() as connection:
        moved, below = groups.by_id(connection, kisti.id), groups.by_id(connection, climate.id)
        assert groups.by_path(connection, "public.kisti-2") == lookalike
    assert moved is not None
    assert below is not None
    assert (moved.path, moved.parent_id, moved.sector) == ("research.kisti", research.id, "research")
    assert (below.path, below.parent_id, below.sector) == ("research.kisti.climate", kisti.id, "research")
    assert moved.change == below.change > climate.change


def test_two_groups_cannot_share_a_path(database: Database) -> None:
    add_group(database, "public")
    with pytest.raises(IntegrityError):
        add_group(database, "public")


def test_a_quota_is_set_and_set_again_with_a_new_etag(database: Database) -> None:
    def put(guaranteed: int) -> quotas.Quota:
        return database.run(
            lambda transaction: quotas.put(
                transaction,
                group_id=1,
                gpu_class="h100",
                guaranteed=guaranteed,
                limit=None,
                borrowing_limit=4,
                lending_limit=None,
                weight=1,
            )
        )

    first, second = put(8), put(16)
    assert second.change > first.change
    with database.read() as connection:
        assert quotas.find(connection, 1, "h100") == second
        assert quotas.of_group(connection, 1) == quotas.every(connection) == [second]
        assert quotas.find(connection, 1, "a100") is None


def test_roles_are_given_once_and_taken_away(database: Database) -> None:
    person = add_person(database)
    for _ in range(2):
        with database.write() as transaction:
            memberships.add(transaction, person_id=person.id, group_id=1, role="auditor")
    with database.read() as connection:
        assert [each.role for each in memberships.of_person(connection, person.id)] == ["auditor"]
        assert [each.person_id for each in memberships.of_group(connection, 1)] == [person.id]
    with database.write() as transaction:
        assert memberships.remove(transaction, person_id=person.id, group_id=1, role="auditor")
        assert not memberships.remove(transaction, person_id=person.id, group_id=1, role="auditor")


def test_operators_come_and_go(database: Database) -> None:
    person, site = add_person(database), add_site(database)
    with database.write() as transaction:
        memberships.add_operator(transaction, person_id=person.id, site_id=site.id)
    with database.read() as connection:
        assert memberships.sites_of(connection, person.id) == [site.id]
        assert [each.person_id for each in memberships.operators_of(connection, site.id)] == [person.id]
    with database.write() as transaction:
        assert memberships.remove_operator(transaction, person_id=person.id, site_id=site.id)
        assert not memberships.remove_operator(transaction, person_id=person.id, site_id=site.id)


def test_a_token_is_found_by_its_hash_and_revoked_once(database: Database) -> None:
    person = add_person(database)
    with database.write() as transaction:
        token = tokens.add(
            transaction,
            person_id=person.id,
            name="laptop",
            prefix="dure_abc",
            hash_="f" * 64,
            scopes=["read", "submit"],
            expires_ms=None,
        )
    with database.read() as connection:
        assert tokens.by_hash(connection, "f" * 64) == token
        assert tokens.of_person(connection, person.id) == [token]
    with database.write() as transaction:
        assert tokens.revoke(transaction, token.id)
        assert not tokens.revoke(transaction, token.id)
    with database.read() as connection:
        revoked = tokens.by_id(connection, token.id)
    assert revoked is not None
    assert revoked.revoked_ms is not None


def test_rates_of_a_class_are_dated(database: Database) -> None:
    for valid_from_ms, numerator in ((0, 1), (1_000, 2), (1_000, 3)):
        with database.write() as transaction:
            gpu_classes.put(
                transaction,
                name="h200",
                valid_from_ms=valid_from_ms,
                credit_numerator=numerator,
                credit_denominator=1,
            )
    with database.read() as connection:
        rates = [(each.valid_from_ms, each.credit_numerator) for each in gpu_classes.every(connection)]
    assert rates == [(0, 1), (1_000, 3)]


def test_a_class_has_one_speed_or_none(database: Database) -> None:
    for name, speed in (
        ("h200", 1.4),
        ("a100", 0.001),
        ("h200", 1.5),
        ("b200", 1000.0),
        ("b200", None),
        ("b300", None),
    ):
        with database.write() as transaction:
            class_speeds.put(transaction, name, speed)
    with database.read() as connection:
        assert list(class_speeds.every(connection).items()) == [("a100", 0.001), ("h200", 1.5)], "by name, exactly"


def test_a_site_changes_visibly_but_being_heard_is_no_change(database: Database) -> None:
    site = add_site(database)
    with database.write() as transaction:
        sites.change(transaction, site.id, state="cordoned", credential_hash="c" * 64, enrolment_hash="e" * 64)
    with database.write() as transaction:
        sites.mark_heard(transaction, [(site.id, 123, 7)])
    with database.read() as connection:
        now = sites.by_name(connection, "national-1")
        assert sites.by_id(connection, site.id) == sites.by_credential_hash(connection, "c" * 64) == now
        assert sites.by_enrolment_hash(connection, "e" * 64) == now
        assert sites.every(connection) == [now]
    assert now is not None
    assert (now.state, now.heard_ms, now.heard_sequence) == ("cordoned", 123, 7)
    assert now.change == site.change + 1


def test_nodes_are_reported_changed_removed_and_come_back(database: Database) -> None:
    site = add_site(database)
    report = NodeReport(
        name="n1", pool="p", gpu_class="h100", gpus=8, cpus=64, memory_mib=1024, domain=("hall", "spine")
    )

    def put(*reports: NodeReport) -> None:
        database.run(lambda transaction: nodes.put(transaction, site.id, reports))

    put(report, report.model_copy(update={"name": "n2"}))
    put(report.model_copy(update={"gpus": 4, "healthy": False}))
    with database.read() as connection:
        first, second = nodes.of_site(connection, site.id)
        assert nodes.known_classes(connection) == {"h100"}
    assert (first.name, first.gpus, first.healthy, first.domain) == ("n1", 4, False, ["hall", "spine"])
    assert first.change > second.change
    with database.write() as transaction:
        nodes.remove(transaction, site.id, ["n2", "never seen"])
    with database.read() as connection:
        assert [node.name for node in nodes.every(connection)] == ["n1"]
        assert [node.name for node in nodes.of_site(connection, site.id, removed=True)] == ["n1", "n2"]
    put(report.model_copy(update={"name": "n2"}))
    with database.read() as connection:
        assert [node.id for node in nodes.of_site(connection, site.id)] == [first.id, second.id]


def test_shapes_come_back_as_they_went_in(database: Database) -> None:
    wanted = [shape(workers) for workers in range(1, 4)]
    ids = [shape_id(database, each) for each in wanted]
    assert ids == [shape_id(database, each) for each in wanted]
    with database.read() as connection:
        assert shapes.by_id(connection, [*ids, 999]) == dict(zip(ids, wanted, strict=True))


def test_jobs_are_listed_newest_first_by_filter_and_cursor(database: Database) -> None:
    one, two = add_person(database, "one"), add_person(database, "two")
    add_jobs(database, one, 3)
    add_jobs(database, two, 2)
    with database.write() as transaction:
        assert jobs.change(transaction, 2, states=["queued"], state="held")
        assert not jobs.change(transaction, 2, states=["queued"], state="cancelled")
        jobs.change_many(transaction, ["state", "exit_code"], [(4, "failed", 3), (5, "failed", 4)])
    with database.read() as connection:
        everything = [job.id for job in jobs.newest(connection, JobFilter(), limit=10)]
        page = [job.id for job in jobs.newest(connection, JobFilter(before_id=4), limit=2)]
        mine = [job.id for job in jobs.newest(connection, JobFilter(person_id=two.id), limit=10)]
        held = [job.id for job in jobs.newest(connection, JobFilter(states=["held"], group_ids=[1]), limit=10)]
        none = jobs.newest(connection, JobFilter(group_ids=[]), limit=10)
        failed = jobs.by_id(connection, 5)
        counts = jobs.counts_by_state(connection)
    assert (everything, page, mine, held, none) == ([5, 4, 3, 2, 1], [3, 2], [5, 4], [2], [])
    assert failed is not None
    assert failed.exit_code == 4
    assert counts == {"queued": 2, "held": 1, "failed": 2}


def test_what_sites_refused_comes_back_as_it_went_in_and_nothing_is_null(database: Database) -> None:
    refused, never = add_jobs(database, add_person(database), 2)
    said = [{"site": 1, "times": 2, "until_ms": 120_000, "message": "거절: no"}]
    with database.write() as transaction:
        jobs.change_many(transaction, ("refusals",), [(refused, said)])
    with database.read() as connection:
        known = jobs.by_ids(connection, [refused, never])
    assert (known[refused].refusals, known[never].refusals) == (said, None)
    with database.write() as transaction:
        jobs.change_many(transaction, ("refusals",), [(refused, None)])
    with database.read() as connection:
        empty = select(tables.jobs.c.id).where(tables.jobs.c.refusals.is_(null()))
        assert set(connection.execute(empty).scalars()) == {refused, never}


def test_a_job_has_at_most_one_live_run(database: Database) -> None:
    person, site = add_person(database), add_site(database)
    (job_id,) = add_jobs(database, person)
    first = add_run(database, job_id, site.id, epoch=1)
    with pytest.raises(IntegrityError):
        add_run(database, job_id, site.id, epoch=2)
    with database.write() as transaction:
        runs.change(transaction, first, phase="ended", cause="exited")
    second = add_run(database, job_id, site.id, epoch=2)
    with database.write() as transaction:
        runs.change_many(transaction, ["phase", "started_ms"], [(second, "running", 7)])
    with database.read() as connection:
        history = runs.of_job(connection, job_id)
        assert runs.live(connection) == runs.live_at(connection, site.id) == history[1:]
        assert runs.by_ids(connection, [first, second, 99]).keys() == {first, second}
        assert runs.by_id(connection, second) == history[1]
    assert [(run.epoch, run.phase) for run in history] == [(1, "ended"), (2, "running")]
    assert history[1].gang == [[1, "n1", 0, 1]]


def test_the_ledger_balances_and_corrections_are_new_entries(database: Database) -> None:
    person, site = add_person(database), add_site(database)
    (job_id,) = add_jobs(database, person)
    run_id = add_run(database, job_id, site.id)

    def interval(end_ms: int, lost_from_ms: int | None = None) -> RunInterval:
        return RunInterval(
            run_id=run_id, group_id=1, site_id=site.id, gpu_class="h100", gpus=5, start_ms=0, end_ms=end_ms,
            lost_from_ms=lost_from_ms,
        )  # fmt: skip

    guessed, known = interval(1_000), interval(900, lost_from_ms=600)
    for posting in (charge(guessed), *correction(guessed, known)):
        database.run(lambda transaction, posting=posting: ledger.enter(transaction, posting))
    with database.read() as connection:
        entries = ledger.of_run(connection, run_id)
        used = ledger.sums_by_class(connection, ledger.CONSUMER, [1])
        owed = ledger.sums_by_class(connection, ledger.PROVIDER, [site.id])
        lost = ledger.sums_by_class(connection, ledger.LOST, [1])
        early = ledger.sums_by_class(connection, ledger.CONSUMER, [1], from_ms=0, until_ms=900)
    assert sum(entry.gpu_milliseconds for entry in entries) == 0
    assert [entry.gpu_milliseconds for entry in entries] == [5_000, -5_000, -5_000, 5_000, 3_000, 1_500, -4_500]
    assert (used, lost, owed) == ({(1, "h100"): 3_000}, {(1, "h100"): 1_500}, {(site.id, "h100"): -4_500})
    assert early == {(1, "h100"): 3_000}
