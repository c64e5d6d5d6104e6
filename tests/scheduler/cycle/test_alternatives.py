"""With what a waiting job would start though nothing else changes: each alternative, made true, starts it in a round."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from blocked import blocked_federations
from federations import OPEN_SITE, Facts, build, contended, facts, group_facts, node_of, plain_shape, run_of
from hypothesis import given
from hypothesis import strategies as st
from lendings import CALENDARS, HOUR_MS, NOW_MS, SECTORS, lending_federations, offer_of
from made_true import Settled

from scheduler.cycle.decide import decide
from scheduler.cycle.facts import WaitingJob
from scheduler.cycle.federation import Federation
from scheduler.cycle.lent_to import Term
from scheduler.cycle.plan import Alternative, AlternativeKind, Verdict
from scheduler.cycle.verdicts import Verdicts
from scheduler.model.ids import GroupId, JobId, NodeId, ShapeId, SiteId
from scheduler.model.offer import Offer, Sector
from scheduler.model.reason import ReasonCode
from scheduler.model.shape import DataClass, Shape
from scheduler.model.wall_time import moment_text


def told(federation: Federation) -> Iterator[tuple[Settled, Verdict]]:
    """Every class that a round looked at and that waits on, with its alternatives."""
    snapshot = federation.snapshot()
    plan = decide(snapshot, 0)
    settled = Settled(federation, snapshot, plan)
    assert isinstance(plan.verdicts, Verdicts)
    for verdict in plan.verdicts:
        if verdict.reason.code is not ReasonCode.NOT_YET_EVALUATED:
            whole = plan.verdicts.of(verdict.key, alternatives=True)
            assert whole is not None
            yield settled, whole


@given(st.one_of(facts(), contended()).map(build))
def test_every_alternative_starts_the_job(federation: Federation) -> None:
    for settled, verdict in told(federation):
        for other in verdict.alternatives:
            assert settled.starts_as(verdict, other), (verdict, other)


@given(st.one_of(lending_federations(), blocked_federations()))
def test_every_alternative_starts_the_job_where_sites_lend_by_offer(federation: Federation) -> None:
    for settled, verdict in told(federation):
        for other in verdict.alternatives:
            assert settled.starts_as(verdict, other), (verdict, other)


def by_kind(verdict: Verdict) -> dict[AlternativeKind, Alternative]:
    return {each.kind: each for each in verdict.alternatives}


@given(st.one_of(facts().map(build), lending_federations()))
def test_no_more_workers_start_than_are_told_and_every_class_that_would_do_is_told(federation: Federation) -> None:
    for settled, verdict in told(federation):
        snapshot = federation.snapshot()
        shape, fewer = snapshot.shapes[verdict.shape], by_kind(verdict).get(AlternativeKind.FEWER_WORKERS)
        most = 0 if fewer is None else fewer.workers
        more = Alternative(
            kind=AlternativeKind.FEWER_WORKERS, site="", gpu_class="", workers=most + 1, gpus=0, gpus_asked=0
        )
        if most + 1 < shape.workers:
            assert not settled.starts_as(verdict, more), (verdict, more)
        classes = {each.gpu_class for each in verdict.alternatives if each.kind is AlternativeKind.OTHER_GPU_CLASS}
        for gpu_class in set(snapshot.offered_classes) - set(snapshot.candidates(shape)) - classes:
            other = replace(more, kind=AlternativeKind.OTHER_GPU_CLASS, gpu_class=gpu_class)
            assert not settled.starts_as(verdict, other), (verdict, other)


def one_job(shape: Shape, counts: dict[str, int], *offers: Offer, **job: Any) -> Verdict:
    """What a round says of the only job that waits, at one site with so many nodes of eight GPUs of each class."""
    nodes, number = [], 0
    for gpu_class, count in counts.items():
        for _ in range(count):
            number += 1
            nodes.append(replace(node_of(number, 8), gpu_class=gpu_class))
    given: dict[str, Any] = {"group": GroupId(4), "shape": ShapeId(1), "priority": 0, "submitted_ms": 0}
    waiting = WaitingJob(id=JobId(1), **(given | job))
    federation = build(Facts({}, (OPEN_SITE,), tuple(nodes), {ShapeId(1): shape}, (waiting,)))
    federation.set_groups([replace(each, sector=SECTORS.get(each.id)) for each in group_facts()], {})
    federation.set_lending(offers, [], [])
    federation.lend(NOW_MS)
    verdicts = decide(federation.snapshot(), 0).verdicts
    assert isinstance(verdicts, Verdicts)
    verdict = verdicts.of(waiting.key, alternatives=True)
    assert verdict is not None
    return verdict


def test_a_gang_hears_with_how_many_workers_and_on_which_other_class_it_would_start_now() -> None:
    verdict = one_job(plain_shape(8, workers=4), {"h100": 3, "h200": 4, "b200": 3})
    assert verdict.reason.code is ReasonCode.WAITING_FOR_CAPACITY
    assert [(each.kind, each.gpu_class, each.workers, each.gpus, each.at_ms) for each in verdict.alternatives] == [
        (AlternativeKind.FEWER_WORKERS, "h100", 3, 24, None),
        (AlternativeKind.OTHER_GPU_CLASS, "h200", 4, 32, None),
    ]


def test_what_is_reserved_for_a_job_is_not_in_its_own_way() -> None:
    gang, alone = plain_shape(8, workers=4), plain_shape(8)
    run = run_of(1, JobId(901), GroupId(6), alone, SiteId(1), "h100", ((NodeId(1), 1),))
    run = replace(run, preemptible=False, expected_end_ms=NOW_MS + HOUR_MS)
    job = WaitingJob(
        id=JobId(1), group=GroupId(4), shape=ShapeId(1), priority=0, submitted_ms=0, walltime_ms=3 * HOUR_MS
    )
    nodes = tuple(node_of(number, 8) for number in range(1, 5))
    behind = replace(job, id=JobId(2), shape=ShapeId(2), submitted_ms=1)
    federation = build(Facts({}, (OPEN_SITE,), nodes, {ShapeId(1): gang, ShapeId(2): alone}, (job, behind), (run,)))
    federation.lend(NOW_MS)
    plan = decide(federation.snapshot(), 0)
    assert [each.job for each in plan.reservations] == [1] and isinstance(plan.verdicts, Verdicts)
    verdict = plan.verdicts.of(job.key, alternatives=True)
    assert verdict is not None and verdict.counterfactual is not None
    assert (verdict.counterfactual.nodes, verdict.counterfactual.walltime_seconds) == (1, None)
    assert [(each.kind, each.workers) for each in verdict.alternatives] == [(AlternativeKind.FEWER_WORKERS, 3)]


def test_where_a_window_is_shut_the_job_hears_when_it_opens_and_not_that_more_nodes_would_do() -> None:
    verdict = one_job(plain_shape(8), {"h100": 2}, offer_of(nodes=2, calendar=CALENDARS[2]), walltime_ms=HOUR_MS)
    opens_ms = NOW_MS + 7 * HOUR_MS  # at noon, of a window from 19:00
    assert verdict.reason.code is ReasonCode.NOT_LENT_NOW
    assert verdict.reason.numbers == {
        "site": "site-1", "gpu_class": "h100", "asked": 8, "free": 0, "gpus": 16, "opens_at": moment_text(opens_ms)
    }  # fmt: skip
    wanted = verdict.counterfactual
    assert wanted is not None and (wanted.lent, wanted.term, wanted.opens_ms) == (True, None, opens_ms)
    assert [(each.kind, each.at_ms) for each in verdict.alternatives] == [(AlternativeKind.OPENING, opens_ms)]


def test_an_opening_for_others_or_one_that_is_too_small_or_too_short_is_none() -> None:
    night = CALENDARS[2]
    for offer, walltime_ms in (
        (offer_of(nodes=2, calendar=night, sectors=(Sector.STARTUP,)), HOUR_MS),
        (offer_of(nodes=1, calendar=night), HOUR_MS),
        (offer_of(nodes=2, calendar=night), 48 * HOUR_MS),
    ):
        verdict = one_job(plain_shape(8, workers=2), {"h100": 2}, offer, walltime_ms=walltime_ms)
        assert verdict.alternatives == ()
    verdict = one_job(plain_shape(8, workers=2), {"h100": 2}, offer_of(nodes=2, calendar=night), walltime_ms=HOUR_MS)
    assert [each.kind for each in verdict.alternatives] == [AlternativeKind.OPENING]


def test_an_offer_whose_terms_keep_the_job_out_is_named_with_the_term() -> None:
    for term, offer in (
        (Term.SECTOR, offer_of(nodes=2, sectors=(Sector.STARTUP,))),
        (Term.DATA_CLASS, offer_of(nodes=2, data_classes=(DataClass.SENSITIVE,))),
        (Term.PRIORITY, offer_of(nodes=2, priority_floor=100)),
    ):
        verdict = one_job(plain_shape(8), {"h100": 2}, offer)
        assert (verdict.reason.code, verdict.reason.numbers["term"]) == (ReasonCode.NOT_LENT_TO, term.value)
        wanted = verdict.counterfactual
        assert wanted is not None and (wanted.lent, wanted.term, wanted.opens_ms) == (True, term.value, None)


def test_when_the_last_offer_is_closed_nobody_knows_when_the_site_lends_again() -> None:
    verdict = one_job(plain_shape(8), {"h100": 2}, offer_of(nodes=2, closes_ms=NOW_MS - 1))
    assert (verdict.reason.code, verdict.reason.numbers["opens_at"]) == (ReasonCode.NOT_LENT_NOW, None)
    assert verdict.alternatives == ()
