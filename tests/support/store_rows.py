"""Builders of rows for tests: every argument has a default, so that a test names only what it is about."""

from __future__ import annotations

from collections.abc import Sequence

from scheduler.model.shape import DataClass, Shape, Topology
from scheduler.store import groups, people, runs, shapes, sites
from scheduler.store.database import Database
from scheduler.store.groups import Group, NewGroup
from scheduler.store.idempotency import Answer, IdempotencyKey
from scheduler.store.people import Person
from scheduler.store.sites import SiteRow
from scheduler.store.submissions import NewJob, Submission, Submitter
from scheduler.store.transaction import WriteTransaction


def shape(workers: int = 1, gpus_per_worker: int = 1) -> Shape:
    """A shape that differs by its size only."""
    return Shape(
        workers=workers,
        gpus_per_worker=gpus_per_worker,
        cpus_per_worker=1,
        memory_mib_per_worker=1024,
        gpu_classes=("h100",),
        topology=Topology.ANY,
        data_class=DataClass.OPEN,
        preemptible=True,
    )


def new_job(person: Person, group_id: int = 1, *, name: str = "digits", workers: int = 1) -> NewJob:
    """A queued job."""
    return NewJob(
        group_id=group_id,
        person_id=person.id,
        name=name,
        state="queued",
        shape=shape(workers),
        priority=0,
        spec="{}",
        retries=0,
        submitted_ms=1,
    )


def submission(person: Person, count: int = 1, *, key: str | None = None, request_hash: str = "0" * 64) -> Submission:
    """A request of ``count`` jobs, answered by their ids."""
    return Submission(
        key=None if key is None else IdempotencyKey(caller="1:jobs", key=key, request_hash=request_hash),
        actor=person.name,
        jobs=[new_job(person, workers=number + 1) for number in range(count)],
        answer=lambda ids: Answer(status=201, body=",".join(map(str, ids))),
    )


def add_person(database: Database, name: str = "jiwoo") -> Person:
    """Somebody."""
    return database.run(lambda transaction: people.ensure(transaction, name))


def add_jobs(database: Database, person: Person, count: int = 1) -> list[int]:
    """Queued jobs; their ids."""

    def act(transaction: WriteTransaction) -> list[int]:
        (answer,) = Submitter().insert(transaction, [submission(person, count)])
        assert isinstance(answer, Answer)
        return [int(id_) for id_ in answer.body.split(",")]

    return database.run(act)


def add_group(database: Database, path: str, kind: str = "sector", parent_id: int = 1) -> Group:
    """A group below the federation, or below another."""
    new = NewGroup(parent_id=parent_id, name=path.rsplit(".", maxsplit=1)[-1], path=path, kind=kind, sector="public")
    return database.run(lambda transaction: groups.add(transaction, new))


def add_site(database: Database, name: str = "national-1") -> SiteRow:
    """An active site."""
    return database.run(
        lambda transaction: sites.add(
            transaction,
            name=name,
            owner="state",
            operator="state",
            facility="daejeon",
            csap="low",
            state_facility=True,
            classified_network=False,
            isolates_users=True,
            trust_domain=None,
            supervised=True,
            lease_seconds=30,
            state="active",
            state_reason="",
        )
    )


def add_run(
    database: Database,
    job_id: int,
    site_id: int,
    *,
    epoch: int = 1,
    gang: Sequence[runs.GangRow] = ((1, "n1", 0, 1),),
) -> int:
    """A leased run of one GPU; its id."""

    def act(transaction: WriteTransaction) -> int:
        (run_id,) = transaction.next_ids("run")
        new = runs.NewRun(
            id=run_id,
            job_id=job_id,
            group_id=1,
            epoch=epoch,
            site_id=site_id,
            gpu_class="h100",
            gpus=1,
            cpus_per_worker=1,
            memory_mib_per_worker=1024,
            gpus_per_worker=1,
            gang=gang,
        )
        runs.add_many(transaction, [new])
        return run_id

    return database.run(act)


def shape_id(database: Database, wanted: Shape) -> int:
    """The id of a shape, stored if it was not."""
    return database.run(lambda transaction: shapes.ShapeIds().of(transaction, [wanted])[0])
