"""A change of quotas previewed on a real record: whole lists, what its caller sees, and what the next round then does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from runtime import Stage

from quota.tree import Quota
from scheduler.cycle.plan import StopCause
from scheduler.cycle.preview import Count
from scheduler.model.reason import ReasonCode, Refusal
from scheduler.service.caller import Caller, Role
from scheduler.service.groups import create_group
from scheduler.service.quota_preview import QuotaChange, QuotaPreview, preview_quotas
from scheduler.service.quotas import set_quota


def grow(stage: Stage, administrator: Caller, path: str) -> int:
    """A group below one that is there; its id."""
    parent, _, name = path.rpartition(".")
    made = stage.runtime.database.run(
        lambda transaction: create_group(
            transaction, stage.runtime, administrator, parent_path=parent or "federation", name=name,
            sector=None if parent else "research", data_class=None, trust_domain=None, output_bytes_max=None,
            example=False, why="",
        )
    )  # fmt: skip
    assert not isinstance(made, Refusal)
    return made.id


def change(group: str, **fields: int | None) -> QuotaChange:
    """One line of the list."""
    return QuotaChange(group=group, gpu_class="h100", fields=fields)


def foreseen(stage: Stage, caller: Caller, *changes: QuotaChange) -> QuotaPreview:
    """A preview that is answered."""
    found = preview_quotas(stage.runtime, caller, changes)
    assert isinstance(found, QuotaPreview), found
    return found


def really_set(stage: Stage, caller: Caller, group: str, new: Quota) -> None:
    """A first quota, set."""
    made = stage.runtime.database.run(
        lambda transaction: set_quota(
            transaction, stage.runtime, caller, group, "h100", new, etag=None, why=""
        )
    )  # fmt: skip
    assert not isinstance(made, Refusal), made


def test_what_is_foreseen_to_start_starts_once_the_quotas_are_set(stage: Stage, administrator: Caller) -> None:
    stage.agent(gpus=8)
    for path in ("research", "research.kaist", "research.kaist.vision"):
        team = grow(stage, administrator, path)
    stage.submit(team, 3, preemptible=False, gpus_per_worker=2)
    assert stage.turn() == 0
    guarantees = {"research.kaist.vision": 4, "research.kaist": 5, "research": 6}
    told = foreseen(stage, administrator, *(change(group, guaranteed=gpus) for group, gpus in guarantees.items()))
    (starts,) = told.starts
    assert (starts.group, starts.before, starts.after) == ("research.kaist.vision", Count(), Count(2, 4))
    assert {row.group: (row.before.used_next, row.after.used_next) for row in told.groups} == {
        "federation": (0, 4), "research": (0, 4), "research.kaist": (0, 4), "research.kaist.vision": (0, 4),
    }  # fmt: skip
    for group, gpus in reversed(guarantees.items()):
        really_set(stage, administrator, group, Quota(guaranteed=gpus))
    assert stage.turn() == 2


def test_nothing_is_written_and_what_is_left_out_keeps_what_stands(stage: Stage, administrator: Caller) -> None:
    stage.agent()
    grow(stage, administrator, "research")
    stands = Quota(guaranteed=4, limit=6, borrowing_limit=1, lending_limit=2, weight=3)
    really_set(stage, administrator, "research", stands)

    def written() -> object:
        with stage.runtime.database.read() as connection:
            every = connection.exec_driver_sql("SELECT * FROM quotas").all()
            return every, connection.exec_driver_sql("SELECT count(*) FROM events").scalar_one()

    before = written()
    told = foreseen(stage, administrator, change("research", weight=5, limit=None))
    (row,) = (row for row in told.groups if row.group == "research")
    assert (row.before.quota, row.after.quota) == (stands, replace(stands, weight=5, limit=None))
    assert written() == before


def test_what_others_do_is_summed_up_for_those_who_may_not_see_them(stage: Stage, administrator: Caller) -> None:
    agent = stage.agent(gpus=8)
    ids = {
        path: grow(stage, administrator, path) for path in ("one", "one.hall", "one.lab", "two", "two.lab", "two.hall")
    }
    for path in ("one.lab", "one.hall"):
        stage.submit(ids[path], 4)
    assert stage.turn() == 8
    stage.clock.advance(stage.runtime.settings.minimum_run_seconds)
    agent.sync()
    stage.submit(ids["two.lab"], 2)
    stage.submit(ids["two.hall"], 1)
    for path, gpus in (("one", 4), ("two", 4)):
        really_set(stage, administrator, path, Quota(guaranteed=gpus))
    manager = replace(administrator, administrator=False, auditor=False, roles={ids["two"]: frozenset({Role.MANAGER})})
    own = change("two.lab", guaranteed=4)
    seen, whole = foreseen(stage, manager, own), foreseen(stage, administrator, own)
    assert {row.group for row in seen.groups} <= {"two", "two.lab", "two.hall"}
    assert [(row.group, row.cause) for row in seen.stops] == [(None, StopCause.RECLAIMED)]
    assert [(row.group, row.cause) for row in whole.stops] == [
        ("one.hall", StopCause.RECLAIMED), ("one.lab", StopCause.RECLAIMED),
    ]  # fmt: skip
    (together,), parts = seen.stops, whole.stops
    assert together.before == parts[0].before + parts[1].before
    assert together.after == parts[0].after + parts[1].after


def test_groups_above_their_limit_are_counted(stage: Stage, administrator: Caller) -> None:
    stage.agent(gpus=8)
    stage.submit(grow(stage, administrator, "research"), 8)
    assert stage.turn() == 8
    assert foreseen(stage, administrator, change("research", limit=8)).above_limit == (0, 0)
    assert foreseen(stage, administrator, change("research", limit=7)).above_limit == (0, 1)


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ([change("one", weight=2), change("three", weight=2)], ReasonCode.GROUP_NOT_FOUND, "quotas.1.group"),
        ([replace(change("one", weight=2), gpu_class="h1000")], ReasonCode.UNKNOWN_GPU_CLASS, "quotas.0.gpu_class"),
        ([change("one", weight=2), change("one", limit=9)], ReasonCode.INVALID_FIELD, "quotas.1"),
        ([change("one", guaranteed=3), change("one.lab", guaranteed=4)], ReasonCode.GUARANTEE_EXCEEDED, "guaranteed"),
        ([change("one", guaranteed=3, limit=2)], ReasonCode.LIMIT_BELOW_GUARANTEED, "quotas.0.limit"),
        ([change("federation", weight=2)], ReasonCode.FEDERATION_QUOTA, "quotas.0.quota"),
    ],
    ids=lambda value: value.name if isinstance(value, ReasonCode) else "",
)
def test_what_may_not_be_set_is_refused_by_its_place_in_the_list(
    stage: Stage, administrator: Caller, changes: list[QuotaChange], code: ReasonCode, field: str
) -> None:
    stage.agent()
    grow(stage, administrator, "one")
    grow(stage, administrator, "one.lab")
    refused = preview_quotas(stage.runtime, administrator, changes)
    assert isinstance(refused, Refusal)
    assert refused.code is code and (refused.reasons[0].field or "").endswith(field)


def test_only_those_who_may_set_a_quota_may_preview_it(stage: Stage, administrator: Caller) -> None:
    stage.agent()
    ids = {path: grow(stage, administrator, path) for path in ("one", "one.lab", "two")}

    def answer(where: str, role: Role) -> ReasonCode | None:
        caller = replace(administrator, administrator=False, auditor=False, roles={ids[where]: frozenset({role})})
        found = preview_quotas(stage.runtime, caller, [change("one.lab", weight=2)])
        return found.code if isinstance(found, Refusal) else None

    assert answer("one", Role.MANAGER) is None
    assert answer("one", Role.SUBMITTER) is ReasonCode.FORBIDDEN
    assert answer("one.lab", Role.MANAGER) is ReasonCode.FORBIDDEN
    assert answer("two", Role.MANAGER) is ReasonCode.GROUP_NOT_FOUND
