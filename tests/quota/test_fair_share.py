"""Fair shares against the sentence that defines them, law 11, and what other systems' cases come to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from quota_trees import GPU_CLASS, Case, cases, id_of, tree_of

from quota.effective import effective_guarantees
from quota.fair_share import FairShares, fair_share
from quota.fair_share_oracle import fair_share_oracle
from quota.tree import Quota, QuotaTree


def share(case: Case) -> FairShares:
    tree = case.tree.of_class(GPU_CLASS)
    return fair_share(tree, tree.array(case.demand), case.capacity)


def shares_by_name(tree: QuotaTree, demand: Mapping[str, int], capacity: int) -> dict[str, int]:
    found = share(Case(tree, {id_of(tree, name): gpus for name, gpus in demand.items()}, capacity))
    return {name: found.of(id_of(tree, name)) for name in demand}


def by_id(tree: QuotaTree, array: np.ndarray) -> dict[int, int]:
    return {group.id: int(array[tree.positions[group.id]]) for group in tree.groups}


@given(st.one_of(cases(), cases(nested=True)))
def test_the_fast_division_equals_handing_out_one_gpu_at_a_time(case: Case) -> None:
    expected = fair_share_oracle(case.tree, GPU_CLASS, case.demand, case.capacity)
    found = share(case)
    assert by_id(case.tree, found.entitled) == expected.entitled
    assert by_id(case.tree, found.own) == expected.own


@given(cases(groups_max=25, gpus_max=1000))
def test_larger_trees_equal_the_loop_as_well(case: Case) -> None:
    expected = fair_share_oracle(case.tree, GPU_CLASS, case.demand, case.capacity)
    assert by_id(case.tree, share(case).own) == expected.own


@given(cases())
def test_children_never_get_more_than_their_parent_nor_the_root_more_than_there_is(case: Case) -> None:
    tree, found = case.tree.of_class(GPU_CLASS), share(case)
    assert found.entitled[0] <= case.capacity
    for position, group in enumerate(case.tree.groups):
        below = [case.tree.positions[child] for child in case.tree.children.get(group.id, ())]
        own = int(found.own[position])
        assert sum(int(found.entitled[each]) for each in below) + own <= found.entitled[position]
        assert found.share[position] == own + sum(int(found.share[each]) for each in below)
        assert own <= case.demand[group.id]
        assert found.share[position] <= tree.ceiling[position]


@given(cases(nested=True))
def test_nothing_is_left_while_a_group_wants_and_may_have_more(case: Case) -> None:
    found, tree = share(case), case.tree.of_class(GPU_CLASS)
    left = case.capacity - int(found.entitled[0])
    for group in case.tree.groups:
        if left and case.demand[group.id] > found.own[case.tree.positions[group.id]]:
            path = [case.tree.positions[each] for each in case.tree.path(group.id)]
            assert any(found.entitled[each] == tree.ceiling[each] for each in path)


@given(cases(nested=True))
def test_who_asks_for_its_guarantee_gets_at_least_what_the_guarantee_is_worth(case: Case) -> None:
    tree, found = case.tree.of_class(GPU_CLASS), share(case)
    worth = effective_guarantees(tree, case.capacity).effective
    for position, group in enumerate(case.tree.groups):
        if position and not case.tree.children.get(group.id):
            assert found.own[position] >= min(case.demand[group.id], int(worth[position]))


@given(st.one_of(cases(), cases(nested=True)), st.data())
def test_more_quota_of_a_group_never_lowers_its_share(case: Case, data: st.DataObject) -> None:
    group = data.draw(st.sampled_from(case.tree.groups[1:] or case.tree.groups)).id
    quota, more = case.tree.quota(group, GPU_CLASS), data.draw(st.integers(1, 6))
    changes: list[dict[str, int | None]] = [{"weight": quota.weight + more}]
    changes += [{name: None} for name in ("limit", "borrowing_limit")]
    if quota.limit is not None:
        changes.append({"limit": quota.limit + more})
    if quota.borrowing_limit is not None:
        changes.append({"borrowing_limit": quota.borrowing_limit + more})
    if group != case.tree.root.id:
        changes.append({"guaranteed": quota.guaranteed + more})
    before = share(case)
    for change in changes:
        after = share(case.with_quota(group, **change))
        position = case.tree.positions[group]
        for name in ("own", "share", "entitled"):
            assert getattr(after, name)[position] >= getattr(before, name)[position], (change, name)


@given(st.one_of(cases(), cases(nested=True)), st.integers(1, 6))
def test_more_capacity_never_lowers_a_share(case: Case, more: int) -> None:
    before, after = share(case), share(Case(case.tree, case.demand, case.capacity + more))
    assert (after.entitled >= before.entitled).all()
    assert (after.own >= before.own).all()


def test_a_guarantee_that_comes_back_with_capacity_takes_nothing_from_a_sibling_below_one_limit() -> None:
    # Scaled guarantees would give y 2 of 15 GPUs (x is worth 5 then) and none of 30: less for more capacity.
    tree = tree_of(
        {"federation": None, "p": "federation", "q": "federation", "x": "p", "y": "p"},
        {"p": Quota(guaranteed=10, limit=10), "q": Quota(guaranteed=20), "x": Quota(guaranteed=10)},
    )
    for capacity in (15, 30):
        assert shares_by_name(tree, {"x": 100, "y": 100, "q": 0}, capacity) == {"x": 10, "y": 0, "q": 0}


def test_kueue_story_3_shares_300_gpus_two_levels_deep() -> None:
    parents = {"cs": None, "c1": "cs", "c2": "cs", "1a": "c1", "1b": "c1", "1c": "c1", "2a": "c2"}
    tree = tree_of(parents, {"1c": Quota(weight=3)})
    demand = {"1a": 999, "1b": 999, "1c": 999, "2a": 999}
    assert shares_by_name(tree, demand, 300) == {"1a": 30, "1b": 30, "1c": 90, "2a": 150}


@pytest.mark.parametrize(
    ("capacity", "quotas", "demand", "shares"),
    [
        pytest.param(
            100,
            {"a": Quota(guaranteed=10, weight=3), "b": Quota(guaranteed=10)},
            {"a": 100, "b": 100},
            {"a": 70, "b": 30},
            id="KAI: deserved 10 each, the surplus 3 to 1",
        ),
        pytest.param(5, {"a": Quota(guaranteed=3)}, {"a": 5}, {"a": 5}, id="KAI: deserved 3 and surplus 2"),
        pytest.param(5, {"a": Quota(guaranteed=3, limit=4)}, {"a": 5}, {"a": 4}, id="KAI: limit 4 leaves 1"),
        pytest.param(
            5,
            {"a": Quota(guaranteed=1), "b": Quota(guaranteed=1, weight=2)},
            {"a": 1, "b": 3, "c": 2},
            {"a": 1, "b": 3, "c": 1},
            id="KAI issue 143: the surplus 3 goes 2 to b and 1 to c",
        ),
        pytest.param(100, {}, {"a": 1, "b": 40, "c": 1000}, {"a": 1, "b": 40, "c": 59}, id="Armada 1"),
        pytest.param(100, {"b": Quota(weight=3)}, {"a": 1000, "b": 1}, {"a": 99, "b": 1}, id="Armada 2"),
        pytest.param(100, {}, {"a": 1, "b": 1}, {"a": 1, "b": 1}, id="Armada 3"),
        pytest.param(100, {}, {"a": 1, "b": 1000}, {"a": 1, "b": 99}, id="Armada 4"),
        pytest.param(
            7,
            {"a": Quota(guaranteed=6), "b": Quota(guaranteed=4)},
            {"a": 9, "b": 9},
            {"a": 4, "b": 3},
            id="KAI 1750: 10 guaranteed of 7 GPUs scale down",
        ),
        pytest.param(
            10,
            {"a": Quota(guaranteed=6, lending_limit=2)},
            {"a": 0, "b": 20},
            {"a": 0, "b": 6},
            id="a reserve of 4 is not lent",
        ),
        pytest.param(
            10,
            {"a": Quota(guaranteed=2, borrowing_limit=3)},
            {"a": 20, "b": 1},
            {"a": 5, "b": 1},
            id="a borrows 3 at most",
        ),
    ],
)
def test_one_level_shares(
    capacity: int, quotas: Mapping[str, Quota], demand: Mapping[str, int], shares: Mapping[str, int]
) -> None:
    tree = tree_of({"federation": None, "a": "federation", "b": "federation", "c": "federation"}, quotas)
    assert shares_by_name(tree, demand, capacity) == shares


def test_work_charged_at_a_group_with_children_shares_like_a_child_of_weight_one() -> None:
    tree = tree_of({"federation": None, "lab": "federation", "project": "lab"}, {"project": Quota(weight=3)})
    found = share(Case(tree, {id_of(tree, "lab"): 100, id_of(tree, "project"): 100}, 40))
    lab, project = (tree.positions[id_of(tree, name)] for name in ("lab", "project"))
    assert (found.own[lab], found.own[project], found.share[lab]) == (10, 30, 40)
