"""Cells granted with a quota: what can be held at once is taken, one more is refused with numbers; lost nodes are told."""

from __future__ import annotations

from typing import Any

import pytest
from runtime import ScriptedAgent, Stage, node

from quota.cell_shape import Cells, Level
from quota.tree import Quota
from scheduler.model.reason import Number, ReasonCode, Refusal
from scheduler.model.reason_text import sentence
from scheduler.model.wire import NodeReport
from scheduler.model.words import Language
from scheduler.service.caller import Caller
from scheduler.service.quota_preview import QuotaChange, preview_quotas
from scheduler.service.quotas import QuotaView, set_quota, show_quotas

LANGUAGES: tuple[Language, ...] = ("ko", "en")


def leaves(number: int, *, nodes: int = 2) -> tuple[Cells, ...]:
    return (Cells(Level.LEAF, nodes, number),)


def in_leaves(*sizes: int, bad: tuple[str, ...] = ()) -> list[NodeReport]:
    """Nodes of eight GPUs in leaves of so many."""
    return [
        node(name, domain=("hall", "spine", f"leaf-{leaf}"), healthy=name not in bad)
        for leaf, size in enumerate(sizes)
        for name in (f"n{leaf}{at}" for at in range(size))
    ]


@pytest.fixture
def agent(stage: Stage) -> ScriptedAgent:
    """Three leaves of two nodes."""
    stage.group("research")
    stage.group("public")
    agent = stage.agent(nodes=0)
    agent.report_nodes(*in_leaves(2, 2, 2), version=2)
    return agent


def put(
    stage: Stage, caller: Caller, group: str, cells: tuple[Cells, ...], *, guaranteed: int = 48, etag: str | None = None
) -> QuotaView | Refusal:
    new = Quota(guaranteed=guaranteed, cells=cells)
    return stage.runtime.database.run(
        lambda transaction: set_quota(transaction, stage.runtime, caller, group, "h100", new, etag=etag, why="")
    )


def granted(answer: QuotaView | Refusal) -> str:
    """The ETag of a quota that was set."""
    assert isinstance(answer, QuotaView) and answer.row is not None, answer
    return str(answer.row.change)


def refused(answer: Any, code: ReasonCode) -> dict[str, Number]:
    assert isinstance(answer, Refusal) and answer.code is code, answer
    (reason,) = answer.reasons
    assert all("?" not in sentence(reason.code, reason.numbers, language) for language in LANGUAGES)
    return dict(answer.reasons[0].numbers)


def effective(stage: Stage, caller: Caller, group: str) -> int:
    views = show_quotas(stage.runtime, caller, group)
    assert isinstance(views, list)
    return views[0].use.cells_effective


def test_what_can_be_held_at_once_is_granted_and_one_more_is_refused_with_its_numbers(
    stage: Stage, administrator: Caller, agent: ScriptedAgent
) -> None:
    granted(put(stage, administrator, "research", leaves(2)))
    etag = granted(put(stage, administrator, "public", leaves(1)))
    assert (effective(stage, administrator, "research"), effective(stage, administrator, "public")) == (2, 1)
    numbers = refused(put(stage, administrator, "public", leaves(2), etag=etag), ReasonCode.CELLS_EXCEEDED)
    assert {name: numbers[name] for name in ("cell", "asked", "limit", "granted", "bad")} == {
        "cell": "h100 leaf of 2", "asked": 2, "limit": 1, "granted": 2, "bad": 0,
    }  # fmt: skip


def test_bad_nodes_are_no_part_of_what_may_be_granted(
    stage: Stage, administrator: Caller, agent: ScriptedAgent
) -> None:
    agent.report_nodes(*in_leaves(2, 2, 2, bad=("n00",)), version=3)
    numbers = refused(put(stage, administrator, "research", leaves(3)), ReasonCode.CELLS_EXCEEDED)
    assert (numbers["limit"], numbers["bad"]) == (2, 1)
    granted(put(stage, administrator, "research", leaves(2)))


def test_a_lost_leaf_is_told_and_less_may_still_be_asked_for(
    stage: Stage, administrator: Caller, agent: ScriptedAgent
) -> None:
    etag = granted(put(stage, administrator, "research", leaves(3)))
    agent.report_nodes(*in_leaves(2, 2, 2, bad=("n00", "n10")), version=3)
    assert effective(stage, administrator, "research") == 1
    granted(put(stage, administrator, "research", leaves(2), etag=etag))


def test_a_guarantee_that_does_not_hold_the_gpus_of_its_cells_is_refused(
    stage: Stage, administrator: Caller, agent: ScriptedAgent
) -> None:
    answer = put(stage, administrator, "research", leaves(1), guaranteed=15)
    assert refused(answer, ReasonCode.CELLS_ABOVE_GUARANTEE)["asked"] == 16


def test_cells_are_judged_in_a_preview_as_when_they_are_set(
    stage: Stage, administrator: Caller, agent: ScriptedAgent
) -> None:
    def foreseen(number: int) -> Any:
        fields = {"guaranteed": 64, "cells": leaves(number)}
        return preview_quotas(
            stage.runtime, administrator, [QuotaChange(group="research", gpu_class="h100", fields=fields)]
        )

    (row,) = (row for row in foreseen(3).groups if row.group == "research")
    assert (row.before.quota.cells, row.after.quota.cells) == ((), leaves(3))
    assert (row.before.cells_effective, row.after.cells_effective) == (0, 3)
    refused(foreseen(4), ReasonCode.CELLS_EXCEEDED)


def test_work_that_cannot_be_called_back_is_in_the_way_until_it_is_over(
    stage: Stage, administrator: Caller, agent: ScriptedAgent
) -> None:
    granted(put(stage, administrator, "public", (), guaranteed=8))
    public = stage.runtime.directories.newest().by_path["public"].id
    stage.submit(public, group="public", preemptible=False, gpus_per_worker=8)
    assert stage.turn() == 1
    numbers = refused(put(stage, administrator, "research", leaves(3)), ReasonCode.CELLS_IN_THE_WAY)
    assert {name: numbers[name] for name in ("asked", "limit", "granted", "bad")} == {
        "asked": 3, "limit": 2, "granted": 0, "bad": 0,
    }  # fmt: skip
    granted(put(stage, administrator, "research", leaves(2)))
