"""What would start a waiting job: it is said wherever a site may serve the job, and asks for nothing more than is needed."""

from __future__ import annotations

from dataclasses import replace

from counterfactuals import lessened, starts_alone
from federations import Facts, build, contended, facts
from hypothesis import given
from hypothesis import strategies as st

from scheduler.cycle.decide import decide
from scheduler.cycle.plan import Verdict
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.data_class import DEFAULT_POLICY, why_not_served
from scheduler.model.reason import ReasonCode


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
    for verdict in decide(snapshot, 0, 0).verdicts:
        if verdict.reason.code is not ReasonCode.NOT_YET_EVALUATED:
            assert (verdict.counterfactual is not None) == may_be_served(drawn, snapshot, verdict), verdict


def undisturbed(drawn: Facts) -> Facts:
    """With runs that nobody may end: a verdict speaks of what stands."""
    return replace(drawn, runs=tuple(replace(run, preemptible=False) for run in drawn.runs))


@given(contended().map(undisturbed))
def test_what_would_start_a_job_starts_it_and_one_unit_less_does_not(drawn: Facts) -> None:
    snapshot = build(drawn).snapshot()
    plan = decide(snapshot, 0, 0)
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
    plan = decide(snapshot, 0, 0)
    for verdict in plan.verdicts:
        for less in lessened(verdict.counterfactual) if verdict.counterfactual else []:
            assert not starts_alone(drawn, snapshot, plan, verdict, less), (verdict.counterfactual, less)
