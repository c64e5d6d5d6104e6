"""Rounds keep cells: firm work stays out of others' cells, lent nodes come back on demand, and nothing is lost at home."""

from __future__ import annotations

from dataclasses import replace

from cell_scenes import BELOW_ONE, GPU_CLASS, GPUS, ONE, OTHER, CellScene, leaves, nodes_in, nodes_of, quota
from example_count import examples
from federations import OPEN_SITE, Facts, build, plain_shape, run_of
from hypothesis import given, settings
from hypothesis import strategies as st

from quota.cell_shape import Cells, Level
from quota.cells import Right
from quota.packing import CellKind
from quota.packing_oracle import packs
from quota.topology import Place
from scheduler.cycle.cell_topology import cell_topology
from scheduler.cycle.check_cells import wrong_cells
from scheduler.cycle.decide import decide
from scheduler.cycle.plan import Stop, StopCause
from scheduler.cycle.preview import preview
from scheduler.cycle.verdicts import Verdicts
from scheduler.model.ids import GroupId, JobId, NodeId, SiteId
from scheduler.model.reason import ReasonCode
from scheduler.model.site import Node


def leaf_scene(*sizes: int, cells: int = 1, others: int = 0) -> CellScene:
    """One group has leaves of two nodes as cells, another a guarantee in numbers."""
    return CellScene.of(sizes, {ONE: quota(leaves(cells), 16 * cells), OTHER: quota((), others)})


def test_firm_work_of_others_is_kept_off_a_cell_and_let_in_where_enough_others_remain() -> None:
    scene = leaf_scene(2, 2, others=32)
    first = scene.submit(OTHER, 2, firm=True, in_leaf=True)
    second = scene.submit(OTHER, 2, firm=True, in_leaf=True)
    scene.rest()
    assert len(scene.where(first)) == 2 and scene.where(second) == []


def test_who_waits_because_of_a_cell_is_told_so() -> None:
    scene = leaf_scene(1, 2, 2, others=24)
    for group, workers, firm in ((ONE, 1, False), (OTHER, 2, True), (OTHER, 1, True)):
        scene.submit(group, workers, firm=firm, in_leaf=True)
        scene.rest()
    plan = decide(scene.seen(), 0)
    assert isinstance(plan.verdicts, Verdicts)
    (verdict,) = plan.verdicts
    assert [each.code for each in verdict.reason.per_site] == [ReasonCode.KEPT_FOR_CELLS]


def test_lent_nodes_are_called_back_for_a_gang_that_fits_the_cell() -> None:
    scene = leaf_scene(2, 2, others=32)
    lent = [scene.submit(OTHER, 1) for _ in range(4)]
    scene.rest()
    mine = scene.submit(ONE, 2, in_leaf=True)
    plan = scene.round()
    assert [stop.cause for stop in plan.stops] == [StopCause.RECLAIMED] * 2
    scene.rest()
    assert len(scene.where(mine)) == 2
    assert sum(len(scene.where(job)) for job in lent) == 2


def test_no_more_is_called_back_than_the_gang_needs_and_none_that_could_be_kept() -> None:
    scene = leaf_scene(3, cells=1)
    wide = scene.submit(OTHER, 2)
    scene.rest()
    cheap = scene.submit(OTHER, 1)
    scene.rest()
    scene.submit(ONE, 2, in_leaf=True)
    assert [stop.job for stop in scene.round().stops] == [wide]
    scene.rest()
    assert len(scene.where(cheap)) == 1


def test_a_gang_gets_its_leaf_whole_though_who_runs_there_is_within_its_own_guarantee() -> None:
    scene = leaf_scene(2, 2, 2, others=48)
    small = [scene.submit(OTHER, 1) for _ in range(6)]
    scene.rest()
    for node in (1, 3, 5):
        scene.end(next(job for job in small if scene.where(job) == [node]))
    mine = scene.submit(ONE, 2, in_leaf=True)
    scene.rest()
    assert len(scene.where(mine)) == 2


def test_work_in_a_cell_of_its_own_group_is_reclaimed_by_nobody_and_beside_it_only_numbers_count() -> None:
    scene = leaf_scene(2, 2, others=32)
    outside, inside = scene.submit(ONE, 2, in_leaf=True), scene.submit(ONE, 2, in_leaf=True)
    scene.rest()
    scene.submit(OTHER, 2, in_leaf=True)
    scene.submit(OTHER, 2, in_leaf=True)
    scene.rest()
    holders = scene.seen().cells.holders
    (kept,) = [job for job in (outside, inside) if scene.where(job)]
    assert {holders[NodeId(node)] for node in scene.where(kept)} == {ONE}


def test_firm_work_of_a_group_with_cells_starts_in_its_cells_alone() -> None:
    scene = CellScene.of((2, 2), {ONE: quota(leaves(1), 32)})
    first, second = (scene.submit(ONE, 2, firm=True, in_leaf=True) for _ in range(2))
    scene.rest()
    assert len(scene.where(first)) == 2 and scene.where(second) == []
    plan = decide(scene.seen(), 0)
    assert isinstance(plan.verdicts, Verdicts)
    (verdict,) = plan.verdicts
    assert verdict.counterfactual is not None and verdict.counterfactual.preemptible


def test_a_cell_is_worth_all_its_gpus_though_more_is_guaranteed_in_numbers_than_there_is() -> None:
    scene = leaf_scene(2, 2, others=64)
    mine = scene.submit(ONE, 2, firm=True, in_leaf=True)
    scene.rest()
    assert len(scene.where(mine)) == 2


def test_nodes_of_a_cell_are_reserved_for_nobody_else() -> None:
    scene = leaf_scene(2, 2, others=16)
    first = scene.submit(ONE, 1)
    scene.rest()
    (taken,) = scene.where(first)
    elsewhere = NodeId(3 if taken < 3 else 1)
    run = run_of(1, JobId(1), GroupId(6), plain_shape(GPUS), SiteId(1), GPU_CLASS, ((elsewhere, 1),))
    scene.federation.put_run(replace(run, expected_end_ms=3_600_000))
    scene.submit(OTHER, 3)
    second = scene.submit(ONE, 1, in_leaf=True)
    scene.round()
    assert len(scene.where(second)) == 1


def test_a_group_below_one_with_cells_may_have_them() -> None:
    scene = CellScene.of((2, 2), {ONE: quota(leaves(1), 32), BELOW_ONE: quota((), 16), OTHER: quota((), 16)})
    below = scene.submit(BELOW_ONE, 2, in_leaf=True)
    scene.submit(OTHER, 2, in_leaf=True)
    scene.submit(OTHER, 2, in_leaf=True)
    scene.rest()
    assert len(scene.where(below)) == 2


def test_a_spine_serves_gangs_of_the_groups_below_that_require_a_leaf() -> None:
    spine = quota((Cells(Level.SPINE, 4, 1),), 32)
    scene = CellScene.of((2, 2), {ONE: spine, BELOW_ONE: quota((), 16), OTHER: quota((), 32)})
    for _ in range(4):
        scene.submit(OTHER, 1)
    scene.rest()
    below = scene.submit(BELOW_ONE, 2, firm=True, in_leaf=True)
    assert [stop.cause for stop in scene.round().stops] == [StopCause.RECLAIMED] * 2
    scene.rest()
    assert scene.where(below) in ([1, 2], [3, 4])


def test_what_a_group_below_runs_in_the_cell_is_at_home_there_too() -> None:
    scene = leaf_scene(2, 2, others=16)
    scene.seen()
    gangs = [scene.submit(BELOW_ONE, 2, in_leaf=True) for _ in range(2)]
    scene.rest()
    scene.submit(OTHER, 2, in_leaf=True)
    holders = scene.seen().cells.holders
    (ended,) = [stop.job for stop in scene.round().stops]
    (kept,) = [job for job in gangs if job != ended]
    assert [holders.get(NodeId(node)) for node in scene.where(kept)] == [ONE, ONE]
    scene.rest()


def test_a_leaf_with_nodes_of_two_gpu_classes_is_a_cell_of_each() -> None:
    quotas = {(ONE, GPU_CLASS): quota(leaves(1), 16), (OTHER, "a100"): quota(leaves(1), 16)}
    nodes = nodes_in((4,))
    nodes = (*nodes[:2], *(replace(node, gpu_class="a100") for node in nodes[2:]))
    cells = CellScene(build(Facts(quotas, (OPEN_SITE,), nodes, {}, ()))).seen().cells
    assert cells.worth == dict.fromkeys(cells.places.values(), 1)
    assert cells.gpus == {(ONE, GPU_CLASS): 16, (OTHER, "a100"): 16}
    assert {int(node): holder for node, holder in cells.holders.items()} == {1: ONE, 2: ONE, 3: OTHER, 4: OTHER}


def test_when_a_node_fails_the_cell_goes_elsewhere_if_it_can_and_is_told_to_be_worth_nothing_if_it_cannot() -> None:
    scene = leaf_scene(2, 2)
    (place,) = scene.seen().cells.places
    scene.fail(1 if place.domain.endswith("leaf-0") else 3)
    assert [each for each in scene.seen().cells.places if each != place]
    scene.fail(3 if place.domain.endswith("leaf-0") else 1)
    assert scene.seen().cells.worth == {}


def test_firm_work_from_before_makes_cells_worth_less_until_it_is_over() -> None:
    scene = leaf_scene(2)
    firm = replace(plain_shape(GPUS), preemptible=False)
    run = run_of(1, JobId(1), OTHER, firm, SiteId(1), GPU_CLASS, ((NodeId(1), 1),))
    scene.federation.put_run(replace(run, preemptible=False))
    assert scene.seen().cells.worth == {}
    scene.federation.drop_run(run.id)
    assert sum(scene.seen().cells.worth.values()) == 1


def test_a_plan_that_could_not_be_called_back_from_a_cell_or_ends_a_run_at_home_breaks_the_law() -> None:
    scene = leaf_scene(2, 2, others=16)
    home = scene.submit(ONE, 2, in_leaf=True)
    scene.rest()
    scene.submit(OTHER, 2, firm=True, in_leaf=True)
    snapshot = scene.seen()
    plan = decide(snapshot, 0)
    (start,), (run,) = plan.starts, snapshot.runs.values()
    (place,) = [node for node in nodes_of(snapshot) if snapshot.cells.holders.get(node.id) == ONE][:1]
    wrong = replace(start, gang=((place.id, place.name, 0, 2),))
    stop = Stop(run.id, home, StopCause.RECLAIMED, None, 0)
    broken = list(wrong_cells(snapshot, replace(plan, starts=(wrong,), stops=(stop,))))
    assert len(broken) == 2 and list(wrong_cells(snapshot, plan)) == []


def test_what_other_cells_would_do_is_seen_in_a_preview_and_nothing_changes() -> None:
    scene = CellScene.of((2, 2), {OTHER: quota((), 32)})
    for _ in range(2):
        scene.submit(OTHER, 2, firm=True, in_leaf=True)
    snapshot = scene.seen()
    seen = preview(snapshot, {(ONE, GPU_CLASS): quota(leaves(1), 16)})
    assert (seen.before.starts[OTHER, GPU_CLASS].number, seen.after.starts[OTHER, GPU_CLASS].number) == (2, 1)
    own = CellScene.of((2, 2), {OTHER: quota((), 16)})
    for group in (ONE, OTHER):
        own.submit(group, 2, firm=True, in_leaf=True)
    granted = preview(own.seen(), {(ONE, GPU_CLASS): quota(leaves(1), 16)})
    assert [granted.after.starts[group, GPU_CLASS].number for group in (ONE, OTHER)] == [1, 1]
    kept = leaf_scene(2, 2, others=32)
    for _ in range(2):
        kept.submit(OTHER, 2, firm=True, in_leaf=True)
    without = preview(kept.seen(), {(ONE, GPU_CLASS): quota((), 0)})
    assert (without.before.starts[OTHER, GPU_CLASS].number, without.after.starts[OTHER, GPU_CLASS].number) == (1, 2)


SIZES = st.lists(st.integers(1, 3), min_size=2, max_size=4)
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("submit"), st.sampled_from((ONE, OTHER, BELOW_ONE)), st.integers(1, 3), st.booleans(), st.booleans()
        ),
        st.tuples(st.just("end"), st.integers(0, 30), st.just(0), st.just(False), st.just(False)),
        st.tuples(st.just("fail"), st.integers(0, 30), st.just(0), st.just(False), st.just(False)),
    ),
    max_size=10,
)


@settings(max_examples=examples(60))
@given(SIZES, st.integers(1, 3), st.integers(1, 2), st.integers(0, 2), STEPS)
def test_what_is_granted_can_be_placed_after_any_story_and_is_had_when_it_is_asked_for(
    sizes: list[int], nodes: int, cells: int, others: int, steps: list[tuple[str, int, int, bool, bool]]
) -> None:
    mine, theirs = CellKind(GPU_CLASS, Level.LEAF, nodes), CellKind(GPU_CLASS, Level.NODE, 1)
    empty = cell_topology(CellScene.of(sizes, {}).seen())
    if not packs(empty, {mine: cells, theirs: others}):
        return
    quotas = {
        ONE: quota(leaves(cells, nodes=nodes), 8 * nodes * cells + 8),
        BELOW_ONE: quota((), 8),
        OTHER: quota((Cells(Level.NODE, 1, others),) if others else (), 8 * sum(sizes)),
    }
    rights = {Right(ONE, mine): cells} | ({Right(OTHER, theirs): others} if others else {})
    scene = CellScene.of(sizes, quotas)
    failed = False
    for what, number, workers, firm, in_leaf in steps:
        jobs = sorted(scene.jobs)
        if what == "submit":
            scene.submit(GroupId(number), workers, firm=firm, in_leaf=in_leaf)
        elif what == "end" and jobs:
            scene.end(jobs[number % len(jobs)])
        elif what == "fail":
            every = nodes_of(scene.seen())
            scene.fail(int(every[number % len(every)].id))
            failed = True
        scene.round()
        assert failed or scene.seen().cells.worth == rights
        assert_clear(scene)
    for group in (ONE, OTHER):
        assert_all_is_had(scene, group, nodes if group == ONE else 1)


def assert_all_is_had(scene: CellScene, group: GroupId, workers: int) -> None:
    """A group that has nothing running and asks for its cells gets them, whatever others run."""
    for job in sorted(scene.jobs):
        if group in scene.seen().tree.path(scene.jobs[job].group):
            scene.end(job)
    held = sum(number for right, number in scene.seen().cells.worth.items() if right.group == group)
    mine = [scene.submit(group, workers, in_leaf=True) for _ in range(held)]
    scene.rest()
    assert [len(scene.where(job)) for job in mine] == [workers] * held


def assert_clear(scene: CellScene) -> None:
    """Every place has as many nodes as its cell declares that are well and hold no work that its group could not call back."""
    snapshot = scene.seen()
    for place, right in snapshot.cells.places.items():
        stuck = {
            node
            for run in snapshot.runs.values()
            if not run.preemptible and right.group not in snapshot.tree.path(run.group)
            for node, _ in run.gang
        }
        inside = {node.id for node in snapshot.nodes.values() if node.healthy and lies_in(node, place)}
        assert len(inside - stuck) >= right.kind.nodes


def lies_in(node: Node, place: Place) -> bool:
    """Whether a node lies in a place, by its domain's name and the class."""
    names = (f"#{node.id}", "/".join((str(node.site_id), *node.domain)))
    return node.gpu_class == place.gpu_class and place.domain in names
