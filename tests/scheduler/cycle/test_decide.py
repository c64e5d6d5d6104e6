"""The round's laws, over small federations that Hypothesis draws."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from federations import OPEN_SITE, Facts, build, facts, node_of, plain_shape
from hypothesis import given
from lendings import HOUR_MS, NOW_MS, lending_federations, offer_of
from made_true import Settled, apply

from quota.tree import Quota
from scheduler.cycle.check_plan import Law, check_plan
from scheduler.cycle.decide import decide
from scheduler.cycle.facts import WaitingJob
from scheduler.cycle.federation import Federation
from scheduler.cycle.oracle import decide_slowly
from scheduler.cycle.plan import Start
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.ids import GroupId, JobId, NodeId, ShapeId, SiteId
from scheduler.model.reason import ReasonCode
from scheduler.model.shape import DataClass, Shape, Topology
from scheduler.model.site import Node, SecurityGrade, Site, SiteState
from scheduler.model.site_refusal import SiteRefusal


@given(facts())
def test_the_fast_round_starts_what_the_slow_one_does(drawn: Facts) -> None:
    snapshot = build(drawn).snapshot()
    assert decide(snapshot, 0).starts == decide_slowly(snapshot)


@given(facts())
def test_no_plan_breaks_a_law(drawn: Facts) -> None:
    snapshot = build(drawn).snapshot()
    assert check_plan(snapshot, decide(snapshot, 0)) == ()


@given(lending_federations())
def test_the_fast_round_starts_what_the_slow_one_does_where_nodes_are_lent_on_terms(federation: Federation) -> None:
    snapshot = federation.snapshot()
    assert decide(snapshot, 0).starts == decide_slowly(snapshot)


@given(lending_federations())
def test_no_plan_breaks_a_law_where_nodes_are_lent_on_terms(federation: Federation) -> None:
    snapshot = federation.snapshot()
    assert check_plan(snapshot, decide(snapshot, 0)) == ()


@given(facts())
def test_the_same_facts_in_another_order_give_the_same_plan(drawn: Facts) -> None:
    assert decide(build(drawn).snapshot(), 0) == decide(build(drawn, backwards=True).snapshot(), 0)


@given(facts())
def test_a_round_after_an_applied_plan_does_nothing(drawn: Facts) -> None:
    federation = build(drawn)
    snapshot = federation.snapshot()
    apply(federation, snapshot, decide(snapshot, 0))
    again = federation.snapshot()
    after = decide(again, 0)
    assert after.starts == ()
    assert check_plan(again, after) == ()


@given(facts())
def test_every_class_that_waits_hears_from_every_site_that_could_have_its_gpus(drawn: Facts) -> None:
    snapshot = build(drawn).snapshot()
    plan = decide(snapshot, 0)
    started = {start.job for start in plan.starts}
    told = {each.key: each for each in plan.verdicts}
    for waiting in snapshot.waiting:
        if all(turn[2] in started for turn in waiting.turns):
            continue
        verdict = told[waiting.key]
        names = snapshot.candidates(snapshot.shapes[waiting.shape])
        considered = {snapshot.sites[site].name for site, name in snapshot.pools if name in names}
        assert {each.site for each in verdict.reason.per_site} == considered
        assert verdict.reason.numbers


@given(facts())
def test_making_a_counterfactual_true_admits_the_job(drawn: Facts) -> None:
    federation = build(drawn)
    snapshot = federation.snapshot()
    plan = decide(snapshot, 0)
    settled = Settled(federation, snapshot, plan)
    for verdict in plan.verdicts:
        if verdict.counterfactual is not None:
            assert settled.starts_with(verdict, verdict.counterfactual), verdict


@pytest.fixture
def small() -> Facts:
    """One open site with one node of eight GPUs, one group without limits, two jobs of four GPUs."""
    shape = Shape(
        workers=2,
        gpus_per_worker=2,
        cpus_per_worker=1,
        memory_mib_per_worker=1,
        gpu_classes=("h100",),
        topology=Topology.ANY,
        data_class=DataClass.OPEN,
        preemptible=True,
    )
    site = Site(
        id=SiteId(1),
        name="site-1",
        state=SiteState.ACTIVE,
        security=SecurityGrade(trust_domain="one"),
        reachable=True,
    )
    node = Node(
        id=NodeId(1),
        site_id=SiteId(1),
        name="node-1",
        pool="pool",
        gpu_class="h100",
        gpus=8,
        cpus=8,
        memory_mib=8,
        domain=(),
        healthy=True,
    )
    jobs = tuple(
        WaitingJob(id=JobId(number), group=GroupId(4), shape=ShapeId(1), priority=0, submitted_ms=0)
        for number in (1, 2)
    )
    return Facts({}, (site,), (node,), {ShapeId(1): shape}, jobs)


def broken(start: Start, **values: object) -> Start:
    fields = {name: getattr(start, name) for name in ("job", "group", "shape", "site", "gpu_class", "gang")}
    return Start(**(fields | values))  # type: ignore[arg-type]


def laws_broken_by(snapshot: Snapshot, *starts: Start) -> set[Law]:
    plan = decide(snapshot, 0)
    return {violation.law for violation in check_plan(snapshot, replace(plan, starts=starts))}


def test_a_job_that_does_not_wait_or_starts_twice_is_found(small: Facts) -> None:
    snapshot = build(small).snapshot()
    start = decide(snapshot, 0).starts[0]
    assert Law.NOT_WAITING in laws_broken_by(snapshot, broken(start, job=JobId(9)))
    assert Law.NOT_WAITING in laws_broken_by(snapshot, start, start)


def test_a_gang_without_all_its_workers_is_found(small: Facts) -> None:
    snapshot = build(small).snapshot()
    start = decide(snapshot, 0).starts[0]
    assert Law.WRONG_GANG in laws_broken_by(snapshot, broken(start, gang=((NodeId(1), "node-1", 0, 1),)))
    assert Law.WRONG_GANG in laws_broken_by(snapshot, broken(start, gang=((NodeId(7), "node-7", 0, 2),)))


def test_an_overfull_node_is_found(small: Facts) -> None:
    full = replace(small, nodes=(replace(small.nodes[0], gpus=4),))
    starts = decide(build(small).snapshot(), 0).starts
    assert len(starts) == 2
    assert Law.NODE_OVERFULL in laws_broken_by(build(full).snapshot(), *starts)


def test_a_closed_site_is_found(small: Facts) -> None:
    start = decide(build(small).snapshot(), 0).starts[0]
    closed = replace(small, sites=(replace(small.sites[0], state=SiteState.CORDONED),))
    assert Law.SITE_CLOSED in laws_broken_by(build(closed).snapshot(), start)


def test_a_site_that_may_not_serve_the_data_is_found(small: Facts) -> None:
    start = decide(build(small).snapshot(), 0).starts[0]
    other = replace(small, sites=(replace(small.sites[0], security=SecurityGrade(trust_domain="other")),))
    assert Law.DATA_CLASS in laws_broken_by(build(other).snapshot(), start)


def test_a_site_without_the_checkpoint_is_found(small: Facts) -> None:
    start = decide(build(small).snapshot(), 0).starts[0]
    bound = replace(small, jobs=tuple(replace(job, bound_site=SiteId(2)) for job in small.jobs))
    assert Law.CHECKPOINT_SITE in laws_broken_by(build(bound).snapshot(), start)


def kept_off(facts: Facts, *sites: int) -> Facts:
    """The same, where sites refused the first job and are not asked before a minute has passed."""
    refusals = tuple(SiteRefusal(site=SiteId(site), times=1, until_ms=NOW_MS + 60_000) for site in sites)
    return replace(facts, jobs=(replace(facts.jobs[0], refusals=refusals), *facts.jobs[1:]))


def test_a_site_that_refused_the_job_is_found(small: Facts) -> None:
    first, second = decide(build(small).snapshot(), 0).starts
    snapshot = build(kept_off(small, 1)).snapshot()
    assert laws_broken_by(snapshot, first, second) == {Law.REFUSED}
    assert Law.REFUSED not in laws_broken_by(snapshot, second)


def test_a_site_is_asked_again_when_its_time_has_come_and_others_meanwhile(small: Facts) -> None:
    second = replace(small.sites[0], id=SiteId(2), name="site-2")
    node = replace(small.nodes[0], id=NodeId(2), site_id=SiteId(2))
    two = replace(small, sites=(*small.sites, second), nodes=(*small.nodes, node))

    def places(facts: Facts, now_ms: int) -> list[tuple[int, int]]:
        federation = build(facts)
        federation.lend(now_ms)
        return [(start.job, start.site) for start in decide(federation.snapshot(), 0).starts]

    assert places(kept_off(two, 1), NOW_MS) == [(1, 2), (2, 2)]
    assert places(kept_off(two, 1, 2), NOW_MS + 59_999) == [(2, 1)]
    assert places(kept_off(two, 1, 2), NOW_MS + 60_000) == [(1, 1), (2, 1)]


def test_a_job_that_every_site_refused_waits_for_that_and_for_nothing_else(small: Facts) -> None:
    verdicts = decide(build(kept_off(small, 1)).snapshot(), 0).verdicts
    assert [(each.reason.code, each.reason.numbers, each.counterfactual) for each in verdicts] == [
        (ReasonCode.REFUSED_BY_SITE, {"site": "site-1"}, None)
    ]


def test_a_gpu_class_that_the_job_does_not_name_is_found(small: Facts) -> None:
    start = decide(build(small).snapshot(), 0).starts[0]
    shape = replace(small.shapes[ShapeId(1)], gpu_classes=("a100",))
    assert Law.WRONG_GPU_CLASS in laws_broken_by(build(replace(small, shapes={ShapeId(1): shape})).snapshot(), start)


def test_a_group_above_its_limit_is_found(small: Facts) -> None:
    starts = decide(build(small).snapshot(), 0).starts
    limited = replace(small, quotas={(GroupId(2), "h100"): Quota(limit=4)})
    assert Law.QUOTA in laws_broken_by(build(limited).snapshot(), *starts)
    assert Law.QUOTA not in laws_broken_by(build(limited).snapshot(), starts[0])


def test_work_that_cannot_be_preempted_above_the_guarantee_is_found(small: Facts) -> None:
    start = decide(build(small).snapshot(), 0).starts[0]
    firm = replace(small.shapes[ShapeId(1)], preemptible=False)
    assert Law.GUARANTEE in laws_broken_by(build(replace(small, shapes={ShapeId(1): firm})).snapshot(), start)


def test_a_class_that_waits_without_a_verdict_is_found(small: Facts) -> None:
    snapshot = build(replace(small, nodes=())).snapshot()
    plan = replace(decide(snapshot, 0), verdicts=())
    assert [violation.law for violation in check_plan(snapshot, plan)] == [Law.NO_VERDICT]


def lent_to(jobs: tuple[WaitingJob, ...], **terms: Any) -> set[JobId]:
    """Which of the jobs start on four nodes of an open site that lends them on some terms."""
    nodes = tuple(node_of(number, 8) for number in range(1, 5))
    federation = build(Facts({}, (OPEN_SITE,), nodes, {ShapeId(8): plain_shape(8)}, jobs))
    federation.set_lending([offer_of(**terms)], [], [])
    federation.lend(NOW_MS)
    snapshot = federation.snapshot()
    plan = decide(snapshot, 0)
    assert check_plan(snapshot, plan) == () and plan.starts == decide_slowly(snapshot)
    return {start.job for start in plan.starts}


def job_of(number: int, group: int = 4, **values: Any) -> WaitingJob:
    given: dict[str, Any] = {"group": GroupId(group), "shape": ShapeId(8), "priority": 0, "submitted_ms": 0}
    return WaitingJob(id=JobId(number), **(given | values))


def test_what_saves_its_state_starts_where_it_has_the_hold_and_nowhere_else() -> None:
    saver, closes_ms = job_of(1, save_ms=60_000), NOW_MS + HOUR_MS
    assert lent_to((saver,), closes_ms=closes_ms, minimum_hold_seconds=3600) == {1}
    assert lent_to((saver,), closes_ms=closes_ms, minimum_hold_seconds=3601) == set()


def test_what_is_lent_for_too_short_is_told_by_the_nodes_that_the_job_cannot_have() -> None:
    nodes = tuple(node_of(number, 8) for number in range(1, 5))
    shapes = {ShapeId(8): plain_shape(8, workers=4)}
    federation = build(Facts({}, (OPEN_SITE,), nodes, shapes, (job_of(1),)))
    federation.set_lending([offer_of(1, nodes=2), offer_of(2, nodes=2, closes_ms=NOW_MS + HOUR_MS)], [], [])
    federation.lend(NOW_MS)
    (verdict,) = decide(federation.snapshot(), 0).verdicts
    assert (verdict.reason.code, verdict.reason.numbers["seconds_left"]) == (ReasonCode.LENT_TOO_SHORT, 3600)


def test_a_job_that_is_below_the_floor_keeps_no_other_of_its_kind_out() -> None:
    assert lent_to((job_of(1, 2, priority=-100), job_of(2, 4)), priority_floor=0) == {2}


def in_leaves(*leaves: str, topology: Topology, required: Topology, workers: int = 2) -> tuple[Snapshot, set[JobId]]:
    """A gang on nodes of eight GPUs in these leaves, and whether it starts."""
    nodes = tuple(replace(node_of(number, 8), domain=("hall", "spine", leaf)) for number, leaf in enumerate(leaves, 1))
    shape = replace(plain_shape(8, workers=workers), topology=topology, required=required)
    snapshot = build(Facts({}, (OPEN_SITE,), nodes, {ShapeId(8): shape}, (job_of(1),))).snapshot()
    return snapshot, {start.job for start in decide(snapshot, 0).starts}


def test_a_gang_waits_for_a_domain_of_the_level_that_it_requires_and_not_for_one_that_it_prefers() -> None:
    assert in_leaves("a", "b", topology=Topology.LEAF, required=Topology.ANY)[1] == {1}
    assert in_leaves("a", "b", topology=Topology.NODE, required=Topology.SPINE)[1] == {1}
    assert in_leaves("a", "b", "b", topology=Topology.ANY, required=Topology.LEAF)[1] == {1}
    snapshot, started = in_leaves("a", "b", topology=Topology.SITE, required=Topology.LEAF)
    (verdict,) = decide(snapshot, 0).verdicts
    assert started == set()
    assert verdict.reason.code is ReasonCode.WAITING_FOR_NODES and verdict.reason.numbers["workers_max"] == 1
    wanted = verdict.counterfactual
    assert wanted is not None and (wanted.nodes, wanted.domain) == (1, ("hall", "spine", "a"))


def test_a_gang_that_is_not_within_its_required_domain_is_found() -> None:
    loose, _ = in_leaves("a", "b", topology=Topology.ANY, required=Topology.ANY)
    tight, _ = in_leaves("a", "b", topology=Topology.ANY, required=Topology.LEAF)
    plan = replace(decide(tight, 0), starts=tuple(decide(loose, 0).starts))
    assert {each.law for each in check_plan(tight, plan)} == {Law.TOPOLOGY}
