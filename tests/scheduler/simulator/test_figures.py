"""What a schedule is worth beside completion times, each formula against sums done by hand."""

from __future__ import annotations

import numpy as np
import pytest
from simulations import cluster_of, row

from scheduler.model.ids import NodeId, SiteId
from scheduler.model.recall import Recall
from scheduler.simulator.ceiling import scheduling_goodput, utilisation_ceiling
from scheduler.simulator.cluster import build_cluster
from scheduler.simulator.finish_time import finish_time_fairness, finish_time_figures
from scheduler.simulator.guarantees import owed
from scheduler.simulator.history import EndCause, Segment
from scheduler.simulator.locality import localities, locality
from scheduler.simulator.metrics import measure
from scheduler.simulator.policy import Policy, parse_policy
from scheduler.simulator.returns import denied, return_figures, returned_ms
from scheduler.simulator.simulation import simulate
from scheduler.simulator.stranding import stranded
from scheduler.simulator.timeline import Steps
from scheduler.simulator.waste import collateral, waste_figures, waste_ratio
from scheduler.simulator.workload import build_workload

SITE = SiteId(1)


def test_waste_is_the_gpu_time_lost_over_the_gpu_time_of_all_work() -> None:
    assert waste_ratio([10 * 4], [100 * 4, 60 * 2]) == pytest.approx(40 / 520)
    assert waste_ratio([], []) == 0


def test_collateral_is_what_was_ended_over_what_the_job_held_of_it() -> None:
    one, two, other, taker = build_workload(
        [row(name, 0, 9, 4) for name in ("one", "two", "other", "taker")], cluster_of(8)
    ).jobs
    runs = [
        Segment(one, SITE, 0, 5, ((0, 4),), EndCause.PREEMPTED, taker, 3),
        Segment(two, SITE, 0, 5, ((1, 4),), EndCause.PREEMPTED, taker, 3),
        Segment(other, SITE, 0, 6, ((2, 4),), EndCause.FAILED, None, 6),
        Segment(taker, SITE, 5, 14, ((0, 4), (3, 4)), EndCause.FINISHED),
    ]
    assert collateral(runs) == pytest.approx((4 + 4) / 4)
    assert collateral(runs[3:]) is None
    figures = waste_figures(runs)
    assert figures["preemption_waste_ratio"] == pytest.approx((3 + 3) * 4 / (4 * 9000 * 4))
    assert figures["preemptions_a_job"] == 2 / 4


def test_a_group_is_owed_what_it_asks_for_within_its_guarantee() -> None:
    asked = Steps.of_spans([(0, 20, 4), (30, 40, 2), (50, 60, 1)])
    held = Steps.of_spans([(5, 20, 2), (10, 20, 2), (30, 40, 2)])
    found = owed(asked, held, 3, 60)
    assert found.violation_ms == (5 + 5) + 10
    assert found.deficit == (3 * 5 + 1 * 5) + 10
    assert found.waits_ms.tolist() == [10, 0, 10]


def test_what_a_group_loses_of_its_guarantee_is_owed_to_it_from_then_on() -> None:
    found = owed(Steps.of_spans([(0, 50, 3)]), Steps.of_spans([(0, 10, 3), (25, 50, 3)]), 2, 50)
    assert (found.violation_ms, found.deficit, found.waits_ms.tolist()) == (15, 30, [0, 15])


def test_a_recall_is_complied_with_where_its_nodes_are_free_by_the_deadline() -> None:
    recall = Recall(
        site=SITE, gpu_class="x", nodes=1, asked_ms=10, by_ms=20, until_ms=50, node_ids=frozenset({NodeId(1)})
    )
    assert returned_ms(recall, [(0, 15, 4), (0, 12, 4)]) == 15
    assert returned_ms(recall, [(0, 5, 4)]) == 10
    assert denied(recall, [(0, 15, 4)], 100) == 0
    assert denied(recall, [(0, 25, 4), (45, 60, 2)], 100) == 5 * 4 + 5 * 2
    (job,) = build_workload([row("a", 0, 9, 4)], cluster_of(8)).jobs
    good, late = (Segment(job, SITE, 0, end_ms, ((0, 4),), EndCause.RECALLED) for end_ms in (15, 25))
    figures = return_figures([recall], [good], 100)
    assert (figures["recalls"], figures["reclaim_compliance"], figures["reclaim_early_slack_mean_s"]) == (1, 1, 0.005)
    figures = return_figures([recall], [late], 100)
    assert (figures["reclaim_compliance"], figures["lender_regret_gpu_hours"]) == (0, 5 * 4 / 3.6e6)
    assert return_figures([recall], [good], 19)["reclaim_compliance"] is None


@pytest.mark.parametrize(
    ("jobs", "part"),
    [
        ([(0, 50, 4), (90, 140, 4)], (200 + 40) / 400),
        ([(0, 50, 4), (0, 50, 4)], 1.0),
        ([(0, 100, 2)], 0.5),
        ([(50, 70, 8)], (4 * 20 + 4 * 20) / 400),
        ([(50, 100, 8)], 0.5),
        ([], 0.0),
    ],
)
def test_no_scheduler_uses_more_than_the_fluid_that_gangs_allow(jobs: list[tuple[int, int, int]], part: float) -> None:
    capacity = Steps.of_spans([(0, 100, 4)])
    assert utilisation_ceiling(Steps.of_spans(jobs), capacity, 0, 100) == pytest.approx(part)


def test_goodput_is_what_ran_over_what_was_asked_for_and_open() -> None:
    asked, capacity = Steps.of_spans([(0, 50, 8)]), Steps.of_spans([(0, 100, 4)])
    assert scheduling_goodput(Steps.of_spans([(10, 50, 4)]), asked, capacity, 0, 100) == pytest.approx(160 / 200)
    assert scheduling_goodput(Steps.of_spans([]), Steps.of_spans([]), capacity, 0, 100) is None


def test_what_is_free_in_no_whole_block_of_a_domain_is_stranded() -> None:
    free = np.array([[3, 0], [8, 0], [4, 0]])
    assert stranded(free, 4).tolist() == pytest.approx([1 - 4 * (0 + 2 + 1) / 15, 0])


def test_locality_is_weighted_by_work() -> None:
    assert locality(np.array([2, 1]), np.array([1, 1]), np.array([1.0, 3.0])) == (2 + 3) / 4
    cluster = build_cluster({"nodes": [{"count": 4, "gpus_per_node": 8, "gpu_type": "x", "leaf_nodes": 2}]})
    jobs = [row("a", 0, 100, 8), row("b", 0, 10, 8), row("c", 0, 100, 8), row("d", 10, 50, 16)]
    found = localities(simulate(jobs, cluster, Policy()))
    work = np.array([800, 80, 800, 800])
    assert found == {"node": 1.0, "leaf": pytest.approx((work * [1, 1, 1, 2]).sum() / work.sum()), "spine": 1.0}


def test_finish_times_are_compared_with_those_on_an_own_part_of_the_cluster() -> None:
    outcome = simulate([row("a", 0, 10, 4), row("b", 0, 10, 4)], cluster_of(4), Policy())
    figures = measure(outcome, bound=False).document
    first, second = 10 / (10 * 4 * 2 / 4), 20 / (10 * 4 * 1.5 / 4)
    assert figures["finish_time_fairness_mean"] == pytest.approx((first + second) / 2)
    assert figures["finish_time_fairness_worst"] == pytest.approx(second)
    assert figures["finish_time_unfair_part"] == 0.5
    there, open_ = Steps.of_spans([(0, 10, 2)]), Steps.of_spans([(0, 10, 4)])
    halves, whole = (np.array([each], dtype=np.float64) for each in (2, 4))
    zero, ten = np.array([0.0]), np.array([10.0])
    assert finish_time_fairness(zero, ten, ten, halves, there, open_).tolist() == [1.0]
    assert finish_time_fairness(zero, ten, ten, whole, there, open_).tolist() == [0.5]
    none = np.zeros(0)
    assert finish_time_figures(finish_time_fairness(none, none, none, none, Steps.of_spans([]), Steps.of_spans([])))[
        "finish_time_fairness_worst"
    ] is None  # fmt: skip


def test_a_guarantee_that_others_borrowed_is_back_after_their_grace() -> None:
    policy = parse_policy(
        {"groups": [{"path": "one", "quota": {"x": {"guaranteed": 4}}}, {"path": "two"}], "minimum_run_seconds": 10,
         "grace_seconds": 10, "preemption_cost_seconds": 30}
    )  # fmt: skip
    outcome = simulate([row("borrower", 0, 500, 8, group="two"), row("owner", 20, 100, 4)], cluster_of(8), policy)
    figures = measure(outcome, bound=False).document
    assert figures["by_group"]["one"]["time_to_guarantee_max_s"] == figures["guarantee_violation_s"] == 10
    assert figures["guarantee_deficit_gpu_hours"] == pytest.approx(4 * 10 / 3600)
    assert (figures["collateral"], figures["preemptions_a_job"]) == (2, 0.5)
    assert figures["preemption_waste_ratio"] == pytest.approx(30 * 8 / (500 * 8 + 100 * 4))
    assert figures["by_size"]["2-8"]["scheduling_goodput"] > 0
    assert figures["part_of_ceiling"] == pytest.approx(1)
    assert figures["stranding_mean"]["node"].keys() == {"2", "4", "8"}
