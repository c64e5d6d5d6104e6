"""Past use as rounds see it: the same whatever came first, and what the rule says, run by run."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from federations import TREE, group_facts, plain_shape, run_of
from hypothesis import given
from hypothesis import strategies as st

from quota.decay import DEFAULT_DECAY, FRACTION_BITS, Decay, DecayedUse
from scheduler.cycle.facts import LiveRun
from scheduler.cycle.federation import Federation
from scheduler.cycle.past_use import PastUse
from scheduler.model.ids import GroupId, JobId, NodeId, SiteId

HOUR_MS = 3_600_000
GROUPS = [GroupId(group) for group, _ in TREE]
DECAYS = st.builds(
    Decay, st.sampled_from((HOUR_MS, 5 * HOUR_MS, 168 * HOUR_MS)), st.sampled_from((0, 600_000, HOUR_MS))
)


@dataclass(frozen=True)
class Spell:
    """A run; it is over by ``end_ms``, where it ever is."""

    run: LiveRun
    end_ms: int


def live_run(number: int, group: int, gpus: int, started_ms: int) -> LiveRun:
    run = run_of(number, JobId(number), GroupId(group), plain_shape(gpus), SiteId(1), "h100", ((NodeId(1), 1),))
    return replace(run, started_ms=started_ms)


@st.composite
def spells(draw: st.DrawFn) -> tuple[Spell, ...]:
    found = []
    for number in range(1, draw(st.integers(1, 8))):
        start_ms = draw(st.integers(0, 40 * HOUR_MS))
        run = live_run(number, draw(st.sampled_from(GROUPS)), draw(st.integers(1, 5000)), start_ms)
        found.append(Spell(run, start_ms + draw(st.integers(0, 40 * HOUR_MS))))
    return tuple(found)


def empty(decay: Decay = DEFAULT_DECAY) -> Federation:
    federation = Federation()
    federation.set_decay(decay)
    federation.set_groups(group_facts(), {})
    return federation


def shown(federation: Federation, now_ms: int) -> PastUse:
    federation.lend(now_ms)
    return federation.snapshot().past_use


def amounts(federation: Federation, past: PastUse) -> dict[int, int]:
    own = past.own("h100")
    positions = federation.snapshot().tree.positions
    return {group: 0 if own is None else int(own[positions[group]]) for group in GROUPS}


@given(DECAYS, spells(), st.integers(0, 60 * HOUR_MS), st.data())
def test_every_run_counts_by_the_rule_whether_it_is_over_or_not(
    decay: Decay, told: tuple[Spell, ...], after_ms: int, data: st.DataObject
) -> None:
    now_ms = max((each.run.started_ms for each in told), default=0) + after_ms
    federation = empty(decay)
    if data.draw(st.booleans()):
        shown(federation, now_ms)
    for each in data.draw(st.permutations(told)):
        federation.put_run(each.run)
    for each in sorted(told, key=lambda each: each.end_ms):
        if each.end_ms <= now_ms:
            federation.end_run(each.run.id, each.end_ms)
    found = amounts(federation, shown(federation, now_ms))
    for group in GROUPS:
        expected = DecayedUse(0, now_ms)
        mine = [each for each in told if each.run.group == group]
        for each in mine:
            expected = decay.with_spell(expected, each.run.gpus, each.run.started_ms, min(each.end_ms, now_ms))
        assert found[group] == pytest.approx(expected.gpu_milliseconds / 1000, rel=1e-9, abs=2 + 4 * len(mine))


@given(DECAYS, spells(), st.lists(st.integers(0, 100 * HOUR_MS), max_size=4), st.data())
def test_who_starts_anew_on_the_same_facts_counts_the_very_same(
    decay: Decay, told: tuple[Spell, ...], moments: list[int], data: st.DataObject
) -> None:
    lasting, fresh = empty(decay), empty(decay)
    over: dict[GroupId, DecayedUse] = {}
    for now_ms in [0, *sorted(moments)]:
        shown(lasting, now_ms)
        for each in told:
            if each.run.started_ms <= now_ms and data.draw(st.booleans()):
                lasting.put_run(each.run)
                if data.draw(st.booleans()):
                    use = DecayedUse(data.draw(st.integers(0, 2**50)) << FRACTION_BITS, now_ms)
                    over[each.run.group] = use
                    lasting.drop_run(each.run.id)
                    lasting.put_past_use(each.run.group, "h100", use)
    now_ms = max(moments, default=0) + 1
    for group, use in over.items():
        fresh.put_past_use(group, "h100", use)
    for run in lasting.live_runs.values():
        fresh.put_run(run)
    assert amounts(lasting, shown(lasting, now_ms)) == amounts(fresh, shown(fresh, now_ms))
    assert amounts(lasting.copy(), shown(lasting.copy(), now_ms)) == amounts(fresh, shown(fresh, now_ms))


def test_a_start_counts_at_once_as_much_as_ten_minutes_of_its_gpus() -> None:
    federation = empty()
    federation.put_run(live_run(1, 4, 8, 5 * HOUR_MS))
    found = amounts(federation, shown(federation, 5 * HOUR_MS))[4]
    entry = DEFAULT_DECAY.after(DecayedUse(0, 0), 8, 600_000).gpu_milliseconds
    assert found == pytest.approx(entry / 1000, abs=2)


def test_a_group_that_always_used_eight_used_eight_on_average() -> None:
    federation = empty(Decay(HOUR_MS))
    federation.put_run(live_run(1, 4, 8, 0))
    past = shown(federation, 1000 * HOUR_MS)
    positions = federation.snapshot().tree.positions

    assert past.average("h100", np.array([positions[4], positions[5]])) == pytest.approx(8.0)
    assert past.average("a100", np.array([positions[4]])) == 0.0


def test_more_than_can_have_been_used_is_kept_within_bounds() -> None:
    federation = empty()
    for group in GROUPS:
        federation.put_past_use(group, "h100", DecayedUse(2**100, 0))
    past = shown(federation, 0)
    ranks = past.ranks(federation.snapshot().tree.of_class("h100"))
    assert sorted(ranks.tolist()) == list(range(len(GROUPS)))
