"""A group that moves takes its jobs' data class along: the round and the agent judge by the same one."""

from __future__ import annotations

from runtime import Stage

from scheduler.model.reason import Refusal
from scheduler.model.shape import DataClass
from scheduler.service.caller import Caller
from scheduler.service.groups import create_group, move_group
from scheduler.store import shapes


def grow(stage: Stage, administrator: Caller, parent: str, name: str, data_class: str | None = None) -> int:
    """A group; its id."""
    made = stage.runtime.database.run(
        lambda transaction: create_group(
            transaction, stage.runtime, administrator, parent_path=parent, name=name,
            sector="research" if parent == "federation" else None, data_class=data_class, trust_domain=None,
            output_bytes_max=None, example=False, why="",
        )
    )  # fmt: skip
    assert not isinstance(made, Refusal)
    return made.id


def class_of(stage: Stage, job: int) -> DataClass:
    """The data class that placement sees of a job."""
    with stage.runtime.database.read() as connection:
        (shape,) = shapes.by_id(connection, [stage.job(job).shape_id]).values()
    return shape.data_class


def test_jobs_of_a_group_that_moves_are_placed_by_the_class_that_holds_there(
    stage: Stage, administrator: Caller
) -> None:
    grow(stage, administrator, "federation", "open")
    grow(stage, administrator, "federation", "secret", "C")
    team = grow(stage, administrator, "open", "team")
    plain, named, misleading = (
        stage.submit(team, **spec)[0]
        for spec in ({}, {"data_class": "S"}, {"environment": {"data_class": "O"}})
    )  # fmt: skip
    stage.change_job(misleading, state="held")
    (done,) = stage.submit(team)
    stage.change_job(done, state="succeeded")

    def move(path: str, parent: str) -> None:
        moved = stage.runtime.database.run(
            lambda transaction: move_group(transaction, stage.runtime, administrator, path, parent, "")
        )
        assert not isinstance(moved, Refusal)

    move("open.team", "secret")
    assert [class_of(stage, job) for job in (plain, named, misleading)] == [DataClass.CLASSIFIED] * 3
    assert class_of(stage, done) is DataClass.OPEN
    stage.agent()
    assert stage.turn() == 0, "the site may not serve this class"
    move("secret.team", "open")
    assert [class_of(stage, job) for job in (plain, named, misleading)] == [
        DataClass.OPEN, DataClass.SENSITIVE, DataClass.OPEN,
    ]  # fmt: skip
    assert stage.turn() == 1
