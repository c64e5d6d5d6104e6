"""What people are told of use and of free GPUs, added up by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from federations import OPEN_SITE, TREE, WORKING, Facts, build, contended, facts, node_of, plain_shape, run_of
from hypothesis import given

from quota.admission import Usage, available
from quota.decay import DEFAULT_DECAY, DecayedUse
from quota.effective import effective_guarantees
from quota.fair_share_oracle import fair_share_oracle
from quota.tree import Quota
from scheduler.cycle.facts import WaitingJob
from scheduler.cycle.use import ClassUse, FreeGpus, class_uses, free_gpus
from scheduler.model.ids import GroupId, JobId, NodeId, ShapeId, SiteId
from scheduler.model.site import Csap, SecurityGrade, SiteState

HOUR_MS = 3_600_000
GROUPS = tuple(GroupId(group) for group, _ in TREE)


def below(group: int) -> set[int]:
    return {group}.union(*(below(child) for child, parent in TREE if parent == group))


@given(contended())
def test_use_is_that_of_the_subtree_and_what_lies_above_the_guarantee_is_borrowed(drawn: Facts) -> None:
    snapshot = build(drawn).snapshot()
    tree, capacity = snapshot.tree.of_class("h100"), sum(node.gpus for node in drawn.nodes)
    effective = effective_guarantees(tree, capacity).effective
    own = {group: sum(run.gpus for run in drawn.runs if run.group == group) for group in GROUPS}
    asked = {group: sum(job.shape for job in drawn.jobs if job.group == group) for group in GROUPS}
    share = fair_share_oracle(snapshot.tree, "h100", {int(each): own[each] + asked[each] for each in GROUPS}, capacity)
    entered = {group: DEFAULT_DECAY.with_entry(DecayedUse(0, 0), own[group]).gpu_milliseconds for group in GROUPS}
    before = {each: entered[each] + drawn.past.get((each, "h100"), 0) * 3_600_000 for each in GROUPS}
    for group in GROUPS:
        average = sum(before[GroupId(each)] for each in below(group)) / DEFAULT_DECAY.half_life_ms
        used = sum(own[GroupId(each)] for each in below(group))
        guaranteed, hours = int(effective[tree.position(group)]), drawn.standing.get((group, "h100"), 0)
        assert class_uses(snapshot, group) == (
            ClassUse(
                gpu_class="h100",
                guaranteed_effective=guaranteed,
                used=used,
                borrowed=used - guaranteed if used > guaranteed else 0,
                fair_share=sum(share.own[each] for each in below(group)),
                queued=sum(asked[GroupId(each)] for each in below(group)),
                past_use_gpus=pytest.approx(average, abs=1e-4),
                standing_gpu_seconds=hours * 3600,
                lent_gpus=pytest.approx(max(0, hours) * HOUR_MS / DEFAULT_DECAY.half_life_ms, abs=1e-6),
                surged_gpus=pytest.approx(max(0, -hours) * HOUR_MS / DEFAULT_DECAY.half_life_ms, abs=1e-6),
            ),
        )


@given(contended())
def test_no_share_moves_because_a_run_is_told_to_leave(drawn: Facts) -> None:
    told = replace(drawn, runs=tuple(replace(run, leaving=True) for run in drawn.runs))
    before, after = build(drawn).snapshot(), build(told).snapshot()
    for group in GROUPS:
        assert class_uses(after, group) == class_uses(before, group)


@given(contended())
def test_what_is_free_for_somebody_is_what_the_most_favoured_of_their_groups_may_start(drawn: Facts) -> None:
    snapshot = build(drawn).snapshot()
    capacity = sum(node.gpus for node in drawn.nodes)
    free = capacity - sum(run.gpus for run in drawn.runs)
    tree = snapshot.tree.of_class("h100")
    own = {group: sum(run.gpus for run in drawn.runs if run.group == group) for group in GROUPS}
    usage = Usage(tree, capacity, tree.array({int(group): gpus for group, gpus in own.items()}))
    for groups in ((), *((GroupId(each),) for each in WORKING), tuple(map(GroupId, WORKING))):
        allowed = max((available(usage, group) for group in groups), default=0)
        expected = FreeGpus(
            site=SiteId(1), gpu_class="h100", total=capacity, free=free, free_for_me=max(0, min(free, allowed))
        )
        assert free_gpus(snapshot, groups) == (expected,)


def test_a_group_is_told_what_waits_for_the_class_that_each_job_names_first() -> None:
    either = replace(plain_shape(2, workers=3), gpu_classes=("a100", "h100"))
    shapes = {ShapeId(1): plain_shape(2, workers=2), ShapeId(2): either}
    jobs = tuple(
        WaitingJob(id=JobId(number), group=GroupId(4), shape=ShapeId(shape), priority=0, submitted_ms=0)
        for number, shape in enumerate((1, 1, 2), start=1)
    )
    nodes = (node_of(1, 8), replace(node_of(2, 8), gpu_class="a100"))
    snapshot = build(Facts({}, (OPEN_SITE,), nodes, shapes, jobs)).snapshot()
    for group, expected in ((4, (6, 8)), (2, (6, 8)), (1, (6, 8)), (5, (0, 0)), (6, (0, 0))):
        uses = class_uses(snapshot, GroupId(group))
        assert [each.gpu_class for each in uses] == ["a100", "h100"]
        assert tuple(each.queued for each in uses) == expected


@pytest.mark.parametrize(("used", "borrowed"), [(2, 0), (3, 0), (4, 1)])
def test_the_first_gpu_beyond_the_guarantee_is_the_first_that_is_borrowed(used: int, borrowed: int) -> None:
    run = run_of(1, JobId(9), GroupId(4), plain_shape(1), SiteId(1), "h100", ((NodeId(1), used),))
    quotas = {(GroupId(2), "h100"): Quota(guaranteed=3), (GroupId(4), "h100"): Quota(guaranteed=3)}
    snapshot = build(Facts(quotas, (OPEN_SITE,), (node_of(1, 8),), {}, (), (run,))).snapshot()
    for group in (4, 2):
        (use,) = class_uses(snapshot, GroupId(group))
        assert (use.used, use.guaranteed_effective, use.borrowed) == (used, 3, borrowed)


def test_nothing_is_free_where_nothing_may_start_and_for_me_where_my_open_data_may_not_lie() -> None:
    shut = replace(OPEN_SITE, id=SiteId(2), name="site-2", state=SiteState.DRAINING)
    silent = replace(OPEN_SITE, id=SiteId(3), name="site-3", reachable=False)
    other = replace(OPEN_SITE, id=SiteId(4), name="site-4", security=SecurityGrade(csap=Csap.LOW, trust_domain="other"))
    nodes = tuple(node_of(number, 8, site=number) for number in (1, 2, 3, 4))
    snapshot = build(Facts({}, (OPEN_SITE, shut, silent, other), nodes, {}, ())).snapshot()
    told = {each.site: (each.total, each.free, each.free_for_me) for each in free_gpus(snapshot, [GroupId(4)])}
    assert told == {1: (8, 8, 8), 2: (8, 0, 0), 3: (8, 0, 0), 4: (8, 8, 0)}
    assert {each.site: each.free_for_me for each in free_gpus(snapshot, [GroupId(4), GroupId(6)])}[SiteId(4)] == 8


@given(facts())
def test_free_gpus_are_those_of_open_sites_whoever_asks(drawn: Facts) -> None:
    snapshot = build(drawn).snapshot()
    open_sites = {site.id for site in drawn.sites if site.state is SiteState.ACTIVE and site.reachable}
    for each in free_gpus(snapshot, GROUPS):
        nodes = [node for node in drawn.nodes if (node.site_id, node.gpu_class) == (each.site, each.gpu_class)]
        assert each.total == sum(node.gpus for node in nodes if node.healthy)
        assert each.free == (each.total if each.site in open_sites else 0)
        assert 0 <= each.free_for_me <= each.free
