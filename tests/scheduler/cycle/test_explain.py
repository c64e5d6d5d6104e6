"""What would start a waiting job: it is said wherever a site may serve the job, and asks for nothing more than is needed."""

from __future__ import annotations

from dataclasses import replace

from cell_scenes import BELOW_ONE, ONE, OTHER, CellScene, leaves, quota
from counterfactuals import lessened, starts_alone
from federations import Facts, build, contended, facts
from hypothesis import given
from hypothesis import strategies as st
from lendings import lending_federations
from made_true import Settled
from pressed import OPEN_GRADE
from scattered import SITE, node_at, shape_of

from quota.tree import Quota
from scheduler.cycle.decide import decide
from scheduler.cycle.facts import WaitingJob
from scheduler.cycle.federation import Federation
from scheduler.cycle.plan import Verdict
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.data_class import DEFAULT_POLICY, why_not_served
from scheduler.model.ids import GroupId, JobId, ShapeId
from scheduler.model.reason import ReasonCode
from scheduler.model.site import Site, SiteState


def may_be_served(drawn: Facts, snapshot: Snapshot, verdict: Verdict) -> bool:
    """Whether some site, open or not, has GPUs that the job may run on, may hold its data and its checkpoint, and has not
    refused it."""
    shape = drawn.shapes[verdict.shape]
    for site_id, gpu_class in {(node.site_id, node.gpu_class) for node in drawn.nodes}:
        site = next(each for each in drawn.sites if each.id == site_id)
        allowed = why_not_served(DEFAULT_POLICY, snapshot.clearance(verdict.group, shape), site.security) is None
        bound = verdict.bound_site in (None, site_id) and site_id not in verdict.key.refused_by
        if allowed and bound and (not shape.gpu_classes or gpu_class in shape.gpu_classes):
            return True
    return False


@given(st.one_of(facts(), contended()))
def test_whoever_a_site_may_serve_hears_what_would_start_it_and_nobody_else(drawn: Facts) -> None:
    snapshot = build(drawn).snapshot()
    for verdict in decide(snapshot, 0).verdicts:
        if verdict.reason.code is not ReasonCode.NOT_YET_EVALUATED:
            assert (verdict.counterfactual is not None) == may_be_served(drawn, snapshot, verdict), verdict


def undisturbed(drawn: Facts) -> Facts:
    """With runs that nobody may end: a verdict speaks of what stands."""
    return replace(drawn, runs=tuple(replace(run, preemptible=False) for run in drawn.runs))


@given(contended().map(undisturbed))
def test_what_would_start_a_job_starts_it_and_one_unit_less_does_not(drawn: Facts) -> None:
    snapshot = build(drawn).snapshot()
    plan = decide(snapshot, 0)
    for verdict in plan.verdicts:
        wanted = verdict.counterfactual
        assert wanted is not None, verdict
        assert wanted.asks_for_anything
        assert starts_alone(drawn, snapshot, plan, verdict, wanted), verdict
        for less in lessened(wanted):
            assert not starts_alone(drawn, snapshot, plan, verdict, less), (wanted, less)


@given(facts())
def test_on_any_federation_one_unit_less_does_not_start_the_job(drawn: Facts) -> None:
    snapshot = build(drawn).snapshot()
    plan = decide(snapshot, 0)
    for verdict in plan.verdicts:
        for less in lessened(verdict.counterfactual) if verdict.counterfactual else []:
            assert not starts_alone(drawn, snapshot, plan, verdict, less), (verdict.counterfactual, less)


def test_a_job_need_not_be_preemptible_on_one_class_where_another_of_the_site_is_guaranteed_to_it() -> None:
    firm = replace(shape_of(1, 1, preemptible=False), gpu_classes=())
    shut = Site(id=SITE, name="site-1", state=SiteState.CORDONED, security=OPEN_GRADE, reachable=True)
    job = WaitingJob(id=JobId(1), group=GroupId(4), shape=ShapeId(1), priority=0, submitted_ms=0)
    nodes = (replace(node_at(1), gpu_class="a100"), replace(node_at(2), gpu_class="h100"))
    quotas = {(GroupId(group), "h100"): Quota(guaranteed=1) for group in (2, 4)}
    drawn = Facts(quotas, (shut,), nodes, {ShapeId(1): firm}, (job,))
    (verdict,) = decide(build(drawn).snapshot(), 0).verdicts
    wanted = verdict.counterfactual
    assert wanted is not None
    assert (wanted.gpu_class, wanted.open_site, wanted.preemptible) == ("h100", True, False)


def test_a_job_need_not_be_preemptible_where_the_capacity_asked_for_restores_its_guarantee() -> None:
    # One GPU for guarantees of one and two, the second of which is lent to nobody: the first is scaled down to none.
    quotas = {
        (GroupId(2), "a100"): Quota(guaranteed=1),
        (GroupId(4), "a100"): Quota(guaranteed=1),
        (GroupId(3), "a100"): Quota(guaranteed=2, lending_limit=0),
    }
    firm = replace(shape_of(1, 1, preemptible=False), gpu_classes=("a100",))
    site = Site(id=SITE, name="site-1", state=SiteState.ACTIVE, security=OPEN_GRADE, reachable=True)
    job = WaitingJob(id=JobId(1), group=GroupId(4), shape=ShapeId(1), priority=0, submitted_ms=0)
    node = replace(node_at(1), gpus=1, gpu_class="a100")
    drawn = Facts(quotas, (site,), (node,), {ShapeId(1): firm}, (job,))
    snapshot = build(drawn).snapshot()
    plan = decide(snapshot, 0)
    (verdict,) = plan.verdicts
    wanted = verdict.counterfactual
    assert wanted is not None
    assert (wanted.raises, wanted.preemptible) == ((("group-1", 1),), False)
    assert starts_alone(drawn, snapshot, plan, verdict, wanted)


@given(lending_federations())
def test_what_would_start_a_job_starts_it_where_sites_lend_by_offer_and_one_unit_less_does_not(
    federation: Federation,
) -> None:
    snapshot = federation.snapshot()
    plan = decide(snapshot, 0)
    settled = Settled(federation, snapshot, plan)
    for verdict in plan.verdicts:
        wanted = verdict.counterfactual
        if wanted is not None:
            assert settled.starts_with(verdict, wanted), verdict
            # What stops are made for stands in the round's numbers, and nowhere here: it would be free for the job.
            for less in [] if plan.stops else lessened(wanted):
                assert not settled.starts_with(verdict, less), (wanted, less)


@st.composite
def scenes(draw: st.DrawFn) -> CellScene:
    """Leaves of one to three nodes, of which one group has cells, at rest with more gangs than they hold."""
    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    mine = leaves(draw(st.integers(1, 2)), nodes=draw(st.integers(1, 2)))
    within = sum(each.nodes * each.number for each in mine) * 8
    guaranteed = within + 8 * draw(st.integers(0, 2))
    quotas = {ONE: quota(mine, guaranteed), OTHER: quota((), 8 * draw(st.integers(0, 4)))}
    if draw(st.booleans()):
        quotas[BELOW_ONE] = quota((), 8 * draw(st.integers(0, guaranteed // 8)))
    scene = CellScene.of(sizes, quotas)
    gangs = st.tuples(st.sampled_from((ONE, OTHER, BELOW_ONE)), st.integers(1, 3), st.booleans(), st.booleans())
    for group, workers, firm, in_leaf in draw(st.lists(gangs, min_size=3, max_size=8)):
        scene.submit(group, workers, firm=firm, in_leaf=in_leaf)
        if draw(st.booleans()):
            scene.round()
    scene.rest()
    return scene


def test_more_nodes_for_firm_work_do_not_lie_in_a_cell_of_others() -> None:
    scene = CellScene.of((2,), {ONE: quota(leaves(1), 16), OTHER: quota((), 16)})
    for group in (ONE, OTHER):
        scene.submit(group, 2, firm=True, in_leaf=True)
        scene.rest()
    snapshot = scene.seen()
    plan = decide(snapshot, 0)
    (verdict,) = plan.verdicts
    wanted = verdict.counterfactual
    assert wanted is not None and wanted.nodes == 2
    assert Settled(scene.federation, snapshot, plan).starts_with(verdict, wanted)


@given(scenes())
def test_what_would_start_a_job_starts_it_where_groups_have_cells(scene: CellScene) -> None:
    snapshot = scene.seen()
    plan = decide(snapshot, 0)
    settled = Settled(scene.federation, snapshot, plan)
    for verdict in plan.verdicts:
        wanted = verdict.counterfactual
        if wanted is not None:
            assert settled.starts_with(verdict, wanted), verdict
