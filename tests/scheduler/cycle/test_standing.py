"""Standing as rounds see it: whose surge it makes go first, for how long, and what it leaves as it is."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from federations import OPEN_SITE, TREE, WORKING, Facts, build, contended, group_facts, node_of, plain_shape, run_of
from hypothesis import given
from hypothesis import strategies as st

from quota.decay import DEFAULT_DECAY, Decay, DecayedUse
from quota.standing import PARTS, Standing
from scheduler.cycle.decide import decide
from scheduler.cycle.earning import rates_now
from scheduler.cycle.facts import PreemptionRules, WaitingJob
from scheduler.cycle.federation import Federation
from scheduler.cycle.oracle import decide_slowly
from scheduler.cycle.round import Round
from scheduler.cycle.standing import StandingNow
from scheduler.model.ids import GroupId, JobId, NodeId, RunId, ShapeId, SiteId

HOUR_MS = 3_600_000
GROUPS = [GroupId(group) for group, _ in TREE]
DECAYS = st.builds(Decay, st.sampled_from((HOUR_MS, 5 * HOUR_MS, 168 * HOUR_MS)))
AMOUNTS = st.integers(0, 2**80)
RATES = st.integers(0, 5000 * PARTS)


@st.composite
def standings(draw: st.DrawFn) -> Standing:
    at_ms = draw(st.integers(0, 40 * HOUR_MS))
    amounts = DecayedUse(draw(AMOUNTS), at_ms), DecayedUse(draw(AMOUNTS), at_ms)
    return Standing(*amounts, draw(RATES), draw(RATES))


TOLD = st.lists(st.tuples(st.sampled_from(GROUPS), standings()), max_size=6)


def shown(federation: Federation, now_ms: int) -> StandingNow:
    federation.lend(now_ms)
    return federation.snapshot().standing


def kept(federation: Federation, now_ms: int) -> dict[int, int]:
    own = shown(federation, now_ms).own("h100")
    positions = federation.snapshot().tree.positions
    return {group: 0 if own is None else int(own[positions[group]]) for group in GROUPS}


def empty(decay: Decay = DEFAULT_DECAY) -> Federation:
    federation = Federation()
    federation.set_decay(decay)
    federation.set_groups(group_facts(), {})
    return federation


@given(DECAYS, TOLD, st.integers(0, 100 * HOUR_MS))
def test_every_moment_shows_what_the_rule_says_of_it(
    decay: Decay, told: list[tuple[GroupId, Standing]], after_ms: int
) -> None:
    federation = empty(decay)
    for group, standing in told:
        federation.put_standing(group, "h100", standing)
    now_ms = max((standing.at_ms for _, standing in told), default=0) + after_ms
    found = kept(federation, now_ms)
    for group, standing in dict(told).items():
        exact = standing.at(decay, now_ms)
        assert federation.snapshot().standing.of(group, "h100") == exact
        assert found[group] == pytest.approx(exact.gpu_seconds, rel=1e-9, abs=2 + 1e-9 * 5000 * decay.half_life_ms)


@given(DECAYS, TOLD, st.lists(st.integers(0, 100 * HOUR_MS), max_size=4))
def test_who_starts_anew_on_the_same_record_counts_the_very_same(
    decay: Decay, told: list[tuple[GroupId, Standing]], moments: list[int]
) -> None:
    lasting, fresh = empty(decay), empty(decay)
    for group, standing in told:
        shown(lasting, standing.at_ms)
        lasting.put_standing(group, "h100", standing)
    for group, standing in dict(told).items():
        fresh.put_standing(group, "h100", standing)
    for now_ms in sorted(moments):
        assert kept(lasting, now_ms) == kept(fresh, now_ms) == kept(lasting.copy(), now_ms)


def test_what_was_shown_of_a_moment_stays_as_it_was() -> None:
    federation = empty()
    federation.put_standing(GroupId(4), "h100", Standing.none(0).counting(PARTS, 0))
    before = shown(federation, HOUR_MS)
    told = before.own("h100"), before.of(GroupId(4), "h100")
    federation.put_standing(GroupId(4), "h100", Standing.none(0).counting(0, PARTS))
    federation.put_standing(GroupId(4), "a100", Standing.none(0).counting(0, PARTS))
    after = shown(federation, HOUR_MS)
    assert before.own("a100") is None and before.of(GroupId(4), "h100") == told[1]
    assert (before.own("h100") == told[0]).all() and (after.own("h100") != told[0]).any()


#: One node of eight for two equals, beside a group whose gang fits on no node and whose share of four so lies idle.
BLOCKED = JobId(99)
EQUALS = (GroupId(4), GroupId(5))


def surging(standing: dict[GroupId, int], *, jobs_each: int = 8) -> Federation:
    """``standing`` is in GPU-hours."""
    shapes = {ShapeId(1): plain_shape(1), ShapeId(16): plain_shape(16)}
    jobs = [
        WaitingJob(id=JobId(10 * number + group), group=group, shape=ShapeId(1), priority=0, submitted_ms=number)
        for number in range(1, jobs_each + 1)
        for group in EQUALS
    ]
    jobs.append(WaitingJob(id=BLOCKED, group=GroupId(6), shape=ShapeId(16), priority=0, submitted_ms=0))
    told = {(group, "h100"): hours for group, hours in standing.items()}
    return build(Facts({}, (OPEN_SITE,), (node_of(1, 8),), shapes, tuple(jobs), standing=told))


def held_by(federation: Federation) -> dict[GroupId, int]:
    plan = decide(federation.snapshot(), 0)
    return {group: sum(start.group == group for start in plan.starts) for group in EQUALS}


def test_of_two_equals_the_lender_surges_first_and_the_other_still_has_its_share() -> None:
    assert held_by(surging({})) == {4: 4, 5: 4}
    assert held_by(surging({GroupId(5): 8})) == {4: 2, 5: 6}
    assert held_by(surging({GroupId(5): -8})) == {4: 6, 5: 2}
    assert held_by(surging({GroupId(4): 8, GroupId(5): 8})) == {4: 4, 5: 4}


def test_the_lender_surges_first_until_its_standing_is_spent() -> None:
    endless = Decay(2**50)
    # It lent four GPUs for two hours.
    standing = {GroupId(5): replace(Standing.none(0), lends=4 * PARTS).at(endless, 2 * HOUR_MS)}
    surges = []
    for hour in range(2, 6):
        federation = surging({})
        federation.set_decay(endless)
        for group, each in standing.items():
            federation.put_standing(group, "h100", each)
        federation.lend(hour * HOUR_MS)
        for start in decide(federation.snapshot(), 0).starts:
            federation.drop_waiting(start.job)
            shape = federation.shape(start.shape)
            federation.put_run(run_of(start.job, start.job, start.group, shape, SiteId(1), "h100", ((NodeId(1), 1),)))
        rates = {group: spent for (group, _), (_, spent) in rates_now(federation.snapshot()).items()}
        surges.append({group: rates.get(group, 0) // PARTS for group in EQUALS})
        for group in EQUALS:
            before = standing.get(group, Standing.none(hour * HOUR_MS))
            counting = replace(before, lends=0, surges=rates.get(group, 0))
            standing[group] = counting.at(endless, (hour + 1) * HOUR_MS)
    assert surges == [{4: 0, 5: 4}, {4: 0, 5: 4}, {4: 2, 5: 2}, {4: 2, 5: 2}]


@given(contended(blocked=True))
def test_the_fast_round_starts_what_the_slow_one_does_where_shares_lie_idle(drawn: Facts) -> None:
    snapshot = build(drawn).snapshot()
    assert decide(snapshot, 0).starts == decide_slowly(snapshot)


@given(contended(blocked=True), st.integers(-2, 2))
def test_where_all_have_the_same_it_is_as_if_there_were_none(drawn: Facts, hours: int) -> None:
    same = {(GroupId(group), "h100"): hours for group, parent in TREE if parent is not None}
    without = decide(build(replace(drawn, standing={})).snapshot(), 0)
    assert decide(build(replace(drawn, standing=same)).snapshot(), 0) == without


@given(contended(gpus_a_job=(1,), blocked=True))
def test_nobody_is_left_below_a_share_that_it_would_have_without_it(drawn: Facts) -> None:
    with_standing, without = (build(each).snapshot() for each in (drawn, replace(drawn, standing={})))
    assert rates_now(with_standing) == rates_now(without)
    shares = Round(without).shares("h100")
    held = [Counter(start.group for start in decide(each, 0).starts) for each in (with_standing, without)]
    for group in map(GroupId, WORKING):
        position = shares.tree.position(group)
        own, share = int(without.use("h100").counted[position]), int(shares.own[position])
        ends = [min(own + each[group], share) for each in held]
        assert ends[0] == ends[1]


def test_whoever_is_below_its_share_takes_it_back_from_the_richest_lender() -> None:
    shapes = {ShapeId(4): plain_shape(4)}
    job = WaitingJob(id=JobId(1), group=GroupId(4), shape=ShapeId(4), priority=0, submitted_ms=0)
    runs = tuple(
        run_of(number, JobId(number), GroupId(5), shapes[ShapeId(4)], SiteId(1), "h100", ((NodeId(1), 1),))
        for number in (11, 12)
    )
    facts = Facts({}, (OPEN_SITE,), (node_of(1, 8),), shapes, (job,), runs, standing={(GroupId(5), "h100"): 1000})
    federation = build(facts, PreemptionRules(minimum_run_ms=0))
    federation.lend(HOUR_MS)
    plan = decide(federation.snapshot(), 0)
    assert [stop.run for stop in plan.stops] in ([RunId(11)], [RunId(12)])
