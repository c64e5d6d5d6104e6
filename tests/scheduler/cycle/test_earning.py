"""What earns standing and what costs it: whose nodes others run on, node by node, and what is told of a moment."""

from __future__ import annotations

from dataclasses import replace

import pytest
from federations import OPEN_SITE, Facts, build, node_of, plain_shape, run_of
from hypothesis import event, given
from hypothesis import strategies as st
from lendings import NOW_MS, offer_of

from quota.standing import PARTS
from quota.standing_oracle import standing_rates_oracle
from quota.tree import Quota
from scheduler.cycle.earning import Earnings, rates_now
from scheduler.cycle.facts import WaitingJob
from scheduler.cycle.federation import Federation
from scheduler.cycle.round import Round
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.ids import GroupId, JobId, NodeId, OfferId, ShapeId, SiteId


def by_node(snapshot: Snapshot, gpu_class: str) -> tuple[dict[int, int], list[tuple[int, int, int]]]:
    """GPUs of nodes that are lent by lender, and (lender, user, GPUs) of every part of a gang on them; by position."""
    positions, offered, taken = snapshot.tree.positions, dict[int, int](), list[tuple[int, int, int]]()
    for node in snapshot.nodes.values():
        pool = snapshot.pools.get((node.site_id, node.gpu_class))
        if pool is None or node.gpu_class != gpu_class or pool.pool.terms is None or pool.pool.until_ms is None:
            continue
        at = pool.node_ids.index(node.id)
        lender = snapshot.terms[int(pool.pool.terms[at])].lender
        if lender is None or not pool.pool.until_ms[at]:
            continue
        offered[positions[lender]] = offered.get(positions[lender], 0) + node.gpus
        for run in snapshot.runs.values():
            gpus = sum(workers * run.gpus_per_worker for each, workers in run.gang if each == node.id)
            taken.append((positions[lender], positions[run.group], gpus))
    return offered, taken


@st.composite
def lenders(draw: st.DrawFn) -> Federation:
    """Four nodes of two sites, lent by offers of some groups or by nobody, and gangs of everybody on them."""
    nodes = tuple(node_of(number, 4, site=draw(st.sampled_from((1, 1, 2)))) for number in range(1, 5))
    shapes = {ShapeId(each): plain_shape(each) for each in (1, 2)}
    runs = []
    for number in range(1, draw(st.integers(1, 6)) + 1):
        gpus, group = draw(st.sampled_from((1, 2))), GroupId(draw(st.sampled_from((2, 4, 5, 6))))
        site = draw(st.sampled_from([node.site_id for node in nodes]))
        mine = draw(
            st.sets(st.sampled_from([node.id for node in nodes if node.site_id == site]), min_size=1, max_size=2)
        )
        gang = tuple((node, draw(st.sampled_from((1, 1, 2)))) for node in sorted(mine))
        runs.append(run_of(number, JobId(number), group, shapes[ShapeId(gpus)], site, "h100", gang))
    sites = (OPEN_SITE, replace(OPEN_SITE, id=SiteId(2), name="site-2"))
    quotas = {(GroupId(group), "h100"): Quota(guaranteed=draw(st.sampled_from((0, 4)))) for group in (4, 5, 6)} | {
        (GroupId(2), "h100"): Quota(guaranteed=8),
        (GroupId(3), "h100"): Quota(guaranteed=4),
    }
    job = WaitingJob(id=JobId(99), group=GroupId(4), shape=ShapeId(1), priority=0, submitted_ms=0)
    federation = build(Facts(quotas, sites, nodes, shapes, (job,), tuple(runs)))
    federation.set_lending(
        [
            offer_of(
                number,
                site=SiteId(draw(st.sampled_from((1, 1, 2)))),
                nodes=draw(st.integers(1, 4)),
                group=draw(st.sampled_from((None, GroupId(3), GroupId(5), GroupId(6)))),
            )
            for number in range(1, draw(st.integers(1, 3)) + 1)
        ],
        [],
        [],
    )
    federation.lend(NOW_MS)
    return federation


@given(lenders())
def test_what_is_told_of_a_moment_is_what_nodes_and_families_say_one_by_one(federation: Federation) -> None:
    snapshot = federation.snapshot()
    round_ = Round(snapshot)
    expected = {}
    for gpu_class, usage in round_.usages.items():
        offered, taken = by_node(snapshot, gpu_class)
        rates = standing_rates_oracle(usage, round_.shares(gpu_class), offered, taken)
        groups = usage.tree.group_ids.tolist()
        expected |= {(groups[at], gpu_class): each for at, each in enumerate(rates) if any(each)}
        event(f"others run on lent nodes: {any(gpus for _, _, gpus in taken)}")
    assert rates_now(snapshot) == expected


def changes(data: st.DataObject, federation: Federation, number: int) -> None:
    """Something happens that may change what is lent or surged, or nothing."""
    what = data.draw(st.sampled_from(("nothing", "run", "end", "wait", "node", "offers", "quotas")))
    snapshot = federation.snapshot()
    if what == "run":
        node = data.draw(st.sampled_from(sorted(snapshot.nodes)))
        group, shape = GroupId(data.draw(st.sampled_from((2, 4, 5, 6)))), snapshot.shapes[ShapeId(1)]
        gang = ((node, 1),)
        run = run_of(1000 + number, JobId(1000 + number), group, shape, snapshot.nodes[node].site_id, "h100", gang)
        federation.put_run(run)
    elif what == "end" and snapshot.runs:
        federation.drop_run(data.draw(st.sampled_from(sorted(snapshot.runs))))
    elif what == "wait":
        group = GroupId(data.draw(st.sampled_from((4, 5, 6))))
        jobs = [
            WaitingJob(id=JobId(2000 + 10 * number + each), group=group, shape=ShapeId(2), priority=0, submitted_ms=0)
            for each in range(8)
        ]
        federation.put_waiting(jobs)
    elif what == "node":
        node = data.draw(st.sampled_from(sorted(snapshot.nodes)))
        federation.put_node(replace(snapshot.nodes[node], healthy=data.draw(st.booleans())))
    elif what == "offers":
        lender = data.draw(st.sampled_from((None, GroupId(3), GroupId(5), GroupId(6))))
        federation.set_lending([offer_of(1, site=SiteId(1), nodes=2, group=lender)], [], [])
    elif what == "quotas":
        quotas = {(GroupId(group), "h100"): Quota(guaranteed=data.draw(st.integers(0, 4))) for group in (3, 4, 5)}
        federation.set_groups(list(snapshot.groups.values()), quotas)
    federation.lend(NOW_MS + number)


@given(lenders(), st.data())
def test_one_look_after_the_other_says_what_each_alone_would(federation: Federation, data: st.DataObject) -> None:
    earnings, counted = Earnings(), dict[tuple[GroupId, str], tuple[int, int]]()
    for number in range(data.draw(st.integers(1, 6))):
        snapshot = federation.snapshot()
        now, changed = rates_now(snapshot), earnings.changed(snapshot)
        assert all(counted.get(key, (0, 0)) != rates for key, rates in changed.items())
        counted |= changed
        assert {key: rates for key, rates in counted.items() if any(rates)} == now
        assert earnings.changed(snapshot) == {}
        event(f"looks that change something: {bool(number and changed)}")
        changes(data, federation, number)


def lending(users: tuple[int, ...]) -> Federation:
    """Group 6 lends two nodes of four; each of ``users`` has one of them."""
    shape = plain_shape(4)
    runs = tuple(
        replace(
            run_of(number, JobId(number), GroupId(user), shape, SiteId(1), "h100", ((NodeId(number), 1),)),
            priority=0,
        )
        for number, user in enumerate(users, start=1)
    )
    facts = Facts({}, (OPEN_SITE,), (node_of(1, 4), node_of(2, 4)), {ShapeId(4): shape}, (), runs)
    federation = build(facts)
    federation.set_lending([offer_of(1, id=OfferId(1), nodes=2, group=GroupId(6))], [], [])
    federation.lend(NOW_MS)
    return federation


@pytest.mark.parametrize(
    ("users", "lends"),
    [((), {}), ((4,), {3: 4, 6: 4}), ((4, 5), {3: 8, 6: 8}), ((4, 6), {3: 4, 6: 4}), ((6, 6), {})],
)
def test_a_lender_earns_by_the_gpus_that_others_use_of_its_nodes(users: tuple[int, ...], lends: dict[int, int]) -> None:
    found = {group: lent // PARTS for (group, _), (lent, _) in rates_now(lending(users).snapshot()).items()}
    assert found == lends


def test_an_unused_guarantee_earns_while_a_sibling_needs_it() -> None:
    shape = plain_shape(4)
    runs = tuple(
        run_of(number, JobId(number), GroupId(5), shape, SiteId(1), "h100", ((NodeId(1), 1),)) for number in (1, 2)
    )
    quotas = {
        (GroupId(2), "h100"): Quota(guaranteed=8),
        (GroupId(4), "h100"): Quota(guaranteed=4),
        (GroupId(5), "h100"): Quota(guaranteed=4),
    }
    facts = Facts(quotas, (OPEN_SITE,), (node_of(1, 8),), {ShapeId(4): shape}, (), runs)
    assert rates_now(build(facts).snapshot()) == {(4, "h100"): (4 * PARTS, 0)}


def test_nobody_pays_for_what_nobody_else_asks_for() -> None:
    assert all(surges == 0 for _, surges in rates_now(lending((4, 4)).snapshot()).values())
