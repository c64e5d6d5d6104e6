"""A preview says what a round says once the quotas are really set, and shows what becomes different."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from elastic import elastic
from federations import OPEN_SITE, TREE, Facts, build, facts, group_facts, node_of, plain_shape, run_of
from hypothesis import given
from hypothesis import strategies as st
from pressed import GPU_CLASS, Applied, Pressed, federation_of, pressed

from quota.tree import Quota
from scheduler.cycle.decide import decide
from scheduler.cycle.facts import WaitingJob
from scheduler.cycle.plan import Plan, StopCause
from scheduler.cycle.preview import Count, Outlook, QuotaKey, preview, with_quotas
from scheduler.cycle.round import Round
from scheduler.cycle.snapshot import Snapshot
from scheduler.cycle.use import class_uses, used_by_group
from scheduler.model.ids import GroupId, JobId, NodeId, ShapeId, SiteId

Key = TypeVar("Key")
#: As ``pressed.federation_of`` tells them.
GROUPS_OF_PRESSED = [replace(each, trust_domain="one", public_sector=False) for each in group_facts()]


@st.composite
def changes(draw: st.DrawFn, gpu_classes: Sequence[str]) -> dict[QuotaKey, Quota]:
    """One to four quotas of any groups but the root."""
    keys = st.tuples(st.sampled_from([GroupId(each) for each, _ in TREE[1:]]), st.sampled_from(gpu_classes))
    amounts = st.integers(0, 12)
    quotas = st.builds(
        lambda guaranteed, above, borrowing, lending, weight: Quota(
            guaranteed=guaranteed,
            limit=None if above is None else guaranteed + above,
            borrowing_limit=borrowing,
            lending_limit=lending,
            weight=weight,
        ),
        amounts,
        st.none() | amounts,
        st.none() | amounts,
        st.none() | amounts,
        st.integers(1, 5),
    )
    return draw(st.dictionaries(keys, quotas, min_size=1, max_size=4))


def counted(pairs: Sequence[tuple[Key, int]]) -> dict[Key, Count]:
    """Counts one by one, the slow obvious way."""
    found: defaultdict[Key, Count] = defaultdict(Count)
    for key, gpus in pairs:
        found[key] = Count(found[key].number + 1, found[key].gpus + gpus)
    return dict(found)


def assert_says(said: Outlook, snapshot: Snapshot, plan: Plan) -> None:
    """The outlook speaks of exactly this plan and of this snapshot's uses and shares."""
    starts = [
        ((start.group, start.gpu_class), start.workers * snapshot.shapes[start.shape].gpus_per_worker)
        for start in (*plan.redeemed, *plan.starts)
    ]
    assert said.starts == counted(starts)
    runs = [(snapshot.runs[stop.run], stop.cause) for stop in plan.stops]
    assert said.stops == counted([((run.group, run.gpu_class, cause), run.gpus) for run, cause in runs])
    used = used_by_group(snapshot)
    limits = {key: quota.limit for key, quota in snapshot.tree.quotas.items() if quota.limit is not None}
    assert said.above_limit == {key for key, limit in limits.items() if used.get(key, 0) > limit}
    groups = {group for group, _ in said.holdings}
    uses = {(group, use.gpu_class): use for group in groups for use in class_uses(snapshot, group)}
    for key, holding in said.holdings.items():
        assert holding.quota == snapshot.tree.quota(*key)
        told, use = (holding.guaranteed_effective, holding.fair_share, holding.used), uses.get(key)
        assert told == ((0, 0, 0) if use is None else (use.guaranteed_effective, use.fair_share, use.used))


@given(facts(), st.data())
def test_what_is_foreseen_is_what_the_round_decides_once_the_quotas_are_set(given: Facts, data: st.DataObject) -> None:
    changed = data.draw(changes(("a100", "h100", "b200")))
    federation = build(given)
    snapshot = federation.snapshot()
    foreseen = preview(snapshot, changed)
    assert_says(foreseen.before, snapshot, decide(snapshot, 0))
    federation.set_groups(group_facts(), given.quotas | changed)
    really = federation.snapshot()
    plan = decide(really, 0)
    assert_says(foreseen.after, really, plan)
    assert decide(with_quotas(snapshot, changed), 0) == plan


def pressing(drawn: Pressed, *, rounds: int, gone: bool, broken: bool) -> Applied:
    """The drawn federation after a round that held nodes for somebody, those who were in the way gone or not, a node broken."""
    applied = Applied(drawn, federation_of(drawn))
    for _ in range(rounds):
        snapshot = applied.federation.snapshot()
        applied.apply(snapshot, decide(snapshot, 0))
        if gone:
            applied.end_leaving()
    if broken:
        applied.federation.put_node(replace(drawn.nodes[0], healthy=False))
    return applied


@given(pressed() | elastic(), st.data())
def test_what_would_be_stopped_and_used_is_what_comes_of_it_once_the_quotas_are_set(
    drawn: Pressed, data: st.DataObject
) -> None:
    changed = data.draw(changes((GPU_CLASS,)))
    moment = {
        "rounds": data.draw(st.integers(0, 1)),
        "gone": data.draw(st.booleans()),
        "broken": data.draw(st.booleans()),
    }
    stands, really = pressing(drawn, **moment), pressing(drawn, **moment)
    foreseen = preview(stands.federation.snapshot(), changed)
    really.federation.set_groups(GROUPS_OF_PRESSED, drawn.quotas | changed)
    for side, applied in ((foreseen.before, stands), (foreseen.after, really)):
        snapshot = applied.federation.snapshot()
        plan = decide(snapshot, 0)
        assert_says(side, snapshot, plan)
        applied.apply(snapshot, plan)
        applied.end_leaving()
        used = used_by_group(applied.federation.snapshot())
        for key, holding in side.holdings.items():
            assert holding.used_next == used.get(key, 0)


@given(facts(), st.data())
def test_what_is_named_is_shown_and_around_it_what_becomes_different(given: Facts, data: st.DataObject) -> None:
    changed = data.draw(changes(("a100", "h100")))
    snapshot = build(given).snapshot()
    shown = preview(snapshot, changed)
    assert shown.before.holdings.keys() == shown.after.holdings.keys() >= changed.keys()
    parent = {GroupId(group): above for group, above in TREE}
    for key in shown.before.holdings.keys() - changed.keys():
        assert shown.before.holdings[key] != shown.after.holdings[key]
    before, after = Round(snapshot), Round(with_quotas(snapshot, changed))
    for group, gpu_class in changed:
        around = {*snapshot.tree.path(group), *(each for each in parent if parent[each] == parent[group])}
        if gpu_class in before.usages:
            shares = before.shares(gpu_class), after.shares(gpu_class)
            different = {each for each in around if shares[0].of(each) != shares[1].of(each)}
            assert {(each, gpu_class) for each in different} <= shown.before.holdings.keys()


def borrowed() -> Facts:
    """Group 4 runs on all 8 GPUs, of which its parent is guaranteed 8 and itself 4; group 5 beside it waits for 6."""
    shape = plain_shape(2)
    runs = tuple(
        run_of(number, JobId(100 + number), GroupId(4), shape, SiteId(1), "h100", ((NodeId(1), 1),))
        for number in range(1, 5)
    )
    jobs = tuple(
        WaitingJob(id=JobId(number), group=GroupId(5), shape=ShapeId(1), priority=0, submitted_ms=0)
        for number in (1, 2, 3)
    )
    quotas = {
        (GroupId(2), "h100"): Quota(guaranteed=8),
        (GroupId(4), "h100"): Quota(guaranteed=4, weight=100),
        (GroupId(5), "h100"): Quota(limit=0),
    }
    return Facts(quotas, (OPEN_SITE,), (node_of(1, 8),), {ShapeId(1): shape}, jobs, runs)


def test_a_group_that_is_promised_more_takes_back_what_the_one_beside_it_borrowed() -> None:
    change = {(GroupId(4), "h100"): Quota(guaranteed=4, limit=6), (GroupId(5), "h100"): Quota(guaranteed=4)}
    told = preview(build(borrowed()).snapshot(), change)
    assert (told.before.stops, told.before.above_limit) == ({}, frozenset())
    assert told.after.stops == {(GroupId(4), "h100", StopCause.RECLAIMED): Count(2, 4)}
    assert told.after.above_limit == {(GroupId(4), "h100")}
    holding = told.after.holdings[GroupId(4), "h100"]
    assert (holding.used, holding.used_next, holding.fair_share) == (8, 4, 4)


def test_the_group_beside_and_the_groups_above_are_shown_where_something_becomes_different_there() -> None:
    given = borrowed()
    taken = preview(build(given).snapshot(), {(GroupId(5), "h100"): Quota(guaranteed=4)})
    assert list(taken.after.holdings) == [(GroupId(4), "h100"), (GroupId(5), "h100")]
    idle = build(replace(given, runs=()))
    started = preview(idle.snapshot(), {(GroupId(5), "h100"): Quota(guaranteed=4)})
    assert [group for group, _ in started.after.holdings] == [1, 2, 5]
    assert [each.used_next for each in started.after.holdings.values()] == [6, 6, 6]


def test_what_is_named_is_shown_where_it_changes_nothing_and_where_nobody_has_the_class() -> None:
    snapshot = build(borrowed()).snapshot()
    change = {(GroupId(2), "h100"): Quota(guaranteed=8), (GroupId(3), "b200"): Quota(weight=2)}
    told = preview(snapshot, change)
    assert told.after.holdings.keys() == change.keys()
    assert told.after.holdings[GroupId(2), "h100"] == told.before.holdings[GroupId(2), "h100"]
