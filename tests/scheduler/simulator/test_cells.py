"""Cells of a policy file: kept clear in a simulation as in production, and refused by name where they say nothing."""

from __future__ import annotations

from typing import Any

import pytest
from simulations import cluster_of, row

from scheduler.model.errors import ConfigurationError
from scheduler.simulator.policy import parse_policy
from scheduler.simulator.simulation import simulate


def started_s(cells: list[str]) -> float:
    """When a third gang starts that cannot be preempted, on three nodes of which the first two are almost full."""
    quotas: dict[str, dict[str, Any]] = {"one": {"guaranteed": 4, "cells": cells}, "two": {"guaranteed": 8}}
    policy = {"groups": [{"path": path, "quota": {"x": quota}} for path, quota in quotas.items()]}
    jobs = [row(f"job-{at}", at, 100, gpus, group="two", preemptible=False) for at, gpus in enumerate((3, 3, 2))]
    history = simulate(jobs, cluster_of(4, 4, 4), parse_policy(policy)).history
    return next(each.start_ms for each in history.segments if each.job.name == "job-2") / 1000


def test_firm_work_waits_while_the_only_room_is_in_a_cell_of_another_group() -> None:
    assert started_s([]) == 2
    assert started_s(["node=1"]) >= 100


@pytest.mark.parametrize("text", ["leaf=4", "node:2=1", "leaf:4=0", "4"])
def test_what_is_no_cell_is_told_with_its_place(text: str) -> None:
    policy = {"groups": [{"path": "one", "quota": {"x": {"guaranteed": 4, "cells": [text]}}}]}
    with pytest.raises(ConfigurationError, match=r"groups\.0\.quota\.x\.cells\.0: .*leaf:4=2"):
        parse_policy(policy)


@pytest.mark.parametrize(
    ("quotas", "group", "told"),
    [
        ({"one": (12, "node=2"), "two": (12, "node=2")}, "two", "2 cells x node of 1 could not be held at once"),
        ({"one": (16, "leaf:4=1")}, "one", "0 could"),
        ({"one": (4, "node=2")}, "one", "The guarantee of one is 4 of x"),
        ({"one": (8, "node=1"), "one.two": (8, "node=2")}, "one", "The groups below one would have 2 cells"),
    ],
)
def test_cells_that_production_would_refuse_are_refused_with_its_reason(
    quotas: dict[str, tuple[int, str]], group: str, told: str
) -> None:
    groups = [
        {"path": path, "quota": {"x": {"guaranteed": gpus, "cells": [cells]}}} for path, (gpus, cells) in quotas.items()
    ]
    with pytest.raises(ConfigurationError) as refused:
        simulate([row("job", 0, 1)], cluster_of(4, 4, 4), parse_policy({"groups": groups}))
    assert str(refused.value).startswith(f"groups.{group}.quota.x.cells: ")
    assert told in str(refused.value)
    assert refused.value.korean.startswith(f"groups.{group}.quota.x.cells: ")
    assert refused.value.korean.endswith("십시오.")


def test_a_childs_cells_are_its_parents_and_need_no_nodes_of_their_own() -> None:
    quotas = {"one": 3, "one.two": 3}
    groups = [
        {"path": path, "quota": {"x": {"guaranteed": 12, "cells": [f"node={number}"]}}}
        for path, number in quotas.items()
    ]
    simulate([row("job", 0, 1, group="two")], cluster_of(4, 4, 4), parse_policy({"groups": groups}))
