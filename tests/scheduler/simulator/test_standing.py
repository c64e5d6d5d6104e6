"""Standing in a simulation: who lent surges first, where the policy has it kept."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from simulations import cluster_of, row

from scheduler.model.errors import ConfigurationError
from scheduler.model.ids import GroupId
from scheduler.simulator.metrics import measure
from scheduler.simulator.policy import parse_policy
from scheduler.simulator.simulation import Outcome, simulate
from scheduler.simulator.standing_figures import standing_curve, standing_figures

#: Eight GPUs of a lender for research alone, and four for everybody, of which startups can have no more than those.
CLUSTER = cluster_of(8, 4, sites=("lent", "open"))
GROUPS = ("research.a", "research.b", "startup.c")


def rows() -> list[Any]:
    """What is lent is used by one group for a while; then everybody asks for more than there is."""
    before = [row(f"a-before-{number}", 0, 1000, group="research.a") for number in range(8)]
    then = [row(f"c-{number}", 1000, 9000, 4, group="startup.c") for number in range(4)]
    then += [row(f"{group}-{number}", 1000, 500, group=group) for number in range(8) for group in GROUPS[:2]]
    return before + then


def replayed(lender: str, *, standing: bool) -> Outcome:
    """What becomes of them where a group is the lender."""
    offer = {"site": "lent", "nodes": 1, "sectors": ["research"], "notice_seconds": "none", "group": lender}
    groups = [{"path": group} for group in GROUPS]
    policy = {"groups": groups, "offers": [offer], "standing": standing, "entry_seconds": 0}
    return simulate(rows(), CLUSTER, parse_policy(policy))


def started_at_once(lender: str, *, standing: bool) -> Counter[str]:
    """GPUs by group that start at the moment when all ask."""
    outcome = replayed(lender, standing=standing)
    paths = outcome.workload.groups
    found = Counter[str]()
    for each in outcome.history.segments:
        if each.start_ms == 1_000_000:
            found[paths[each.job.group - 1]] += each.job.gpus
    return found


@pytest.mark.parametrize(("lender", "b"), [("research.a", 4), ("research.b", 5)])
def test_who_lent_surges_first_and_nobody_gets_less_than_its_share_for_it(lender: str, b: int) -> None:
    assert started_at_once(lender, standing=False) == {"research.a": 4, "research.b": 4, "startup.c": 4}
    assert started_at_once(lender, standing=True) == {"research.a": 8 - b, "research.b": b, "startup.c": 4}


def test_an_offer_of_a_group_that_is_not_there_is_refused_by_name() -> None:
    policy = parse_policy({"offers": [{"site": "lent", "nodes": 1, "group": "nobody"}]})
    with pytest.raises(ConfigurationError, match=r"offers\.0\.group.*nobody"):
        simulate(rows(), CLUSTER, policy)


def test_figures_tell_where_standing_ended_and_whom_it_let_start() -> None:
    assert measure(replayed("research.b", standing=False), bound=False).document["standing"] is None
    figures = measure(replayed("research.b", standing=True), bound=False).document["standing"]
    lender, user = figures["research.b"], figures["research.a"]
    assert (lender["sooner_gpus"], lender["later_gpus"]) == (1, 0)
    assert (user["sooner_gpus"], user["later_gpus"]) == (0, 1)
    assert lender["standing_gpus"] > 0 > user["standing_gpus"]
    assert lender["lent_gpu_hours"] == pytest.approx((4 * 1000 + 3 * 500 + 5 * 500) / 3600)
    assert user["surged_gpu_hours"] == pytest.approx(2 * 500 / 3600)


def test_a_curve_of_standing_ends_where_its_figures_do_and_starts_with_nothing() -> None:
    outcome = replayed("research.b", standing=True)
    end_ms = max(each.end_ms for each in outcome.history.segments)
    group = GroupId(outcome.workload.groups.index("research.b") + 1)
    curve = standing_curve(outcome, group, np.array([0, 1_000_000, end_ms]))
    kept = 0.5 ** (1_000_000 / outcome.policy.decay.half_life_ms)
    assert curve[:2] == pytest.approx([0, 4 * (1 - kept)]), "four GPUs for a thousand seconds"
    assert curve[2] == standing_figures(outcome, end_ms)["research.b"]["standing_gpus"]
