"""Changes of the policy, each at its bound: what fits to the last GPU is taken, one more is refused with the sums."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quota_trees import GPU_CLASS, Case, cases, id_of, tree_of

from quota.changes import check_move, check_new_group, check_quota, check_quota_among
from quota.refusal import Refusal, RefusalCode
from quota.tree import GPUS_MAX, WEIGHT_MAX, Group, Quota, QuotaTree

PARENTS = {
    "federation": None,
    "research": "federation",
    "vision": "research",
    "speech": "research",
    "state": "federation",
}
QUOTAS = {
    "research": Quota(guaranteed=10, limit=12),
    "vision": Quota(guaranteed=6),
    "speech": Quota(guaranteed=1),
    "state": Quota(guaranteed=5),
}


def check(name: str, new: Quota, **quotas: Quota) -> Refusal | None:
    tree = tree_of(PARENTS, QUOTAS | quotas)
    return check_quota(tree, id_of(tree, name), GPU_CLASS, new)


def told(refusal: Refusal | None) -> tuple[Any, ...]:
    assert refusal is not None
    return refusal.code, refusal.group, refusal.field, dict(refusal.numbers)


def sums(asked: int, limit: int) -> dict[str, int]:
    return {"asked": asked, "limit": limit, "excess": asked - limit}


def test_children_may_be_guaranteed_all_that_their_parent_is_and_not_one_more() -> None:
    assert check("vision", Quota(guaranteed=9)) is None
    assert told(check("vision", Quota(guaranteed=10))) == (
        RefusalCode.GUARANTEE_EXCEEDED, 2, "guaranteed", sums(11, 10),
    )  # fmt: skip


def test_a_guarantee_may_fall_to_what_the_children_are_guaranteed_and_no_lower() -> None:
    assert check("research", Quota(guaranteed=7)) is None
    assert told(check("research", Quota(guaranteed=6))) == (
        RefusalCode.GUARANTEED_BELOW_CHILDREN, 2, "guaranteed", sums(7, 6),
    )  # fmt: skip


def test_a_limit_may_be_as_low_as_the_guarantee_and_no_lower() -> None:
    assert check("vision", Quota(guaranteed=6, limit=6)) is None
    assert told(check("vision", Quota(guaranteed=6, limit=5))) == (
        RefusalCode.LIMIT_BELOW_GUARANTEED, 3, "limit", {"value": 5, "bound": 6},
    )  # fmt: skip


def test_the_federation_promises_without_end_until_it_has_a_limit() -> None:
    assert check("state", Quota(guaranteed=GPUS_MAX)) is None
    assert check("state", Quota(guaranteed=6), federation=Quota(limit=16)) is None
    assert told(check("state", Quota(guaranteed=7), federation=Quota(limit=16))) == (
        RefusalCode.GUARANTEE_EXCEEDED, 1, "guaranteed", sums(17, 16),
    )  # fmt: skip
    assert check("federation", Quota(limit=15)) is None
    assert told(check("federation", Quota(limit=14))) == (
        RefusalCode.GUARANTEED_BELOW_CHILDREN, 1, "guaranteed", sums(15, 14),
    )  # fmt: skip


@pytest.mark.parametrize(
    "new", [Quota(guaranteed=1), Quota(borrowing_limit=1), Quota(lending_limit=0), Quota(weight=2, limit=99)]
)
def test_the_federation_has_a_limit_and_nothing_else(new: Quota) -> None:
    assert told(check("federation", new)) == (RefusalCode.ROOT_QUOTA, 1, None, {})


def test_what_was_promised_too_much_is_mended_step_by_step_and_never_made_worse() -> None:
    over = {"vision": Quota(guaranteed=12), "speech": Quota(guaranteed=3)}
    assert check("vision", Quota(guaranteed=11), **over) is None
    assert check("vision", Quota(guaranteed=12, weight=3), **over) is None
    assert told(check("vision", Quota(guaranteed=13), **over))[3] == sums(16, 10)


@st.composite
def policies(draw: st.DrawFn) -> tuple[QuotaTree, dict[tuple[int, str], Quota]]:
    """A tree, in order or over-promised, and up to four quotas to set in it."""
    tree = draw(cases(nested=draw(st.booleans()), groups_max=4, gpus_max=4)).tree
    groups = draw(st.permutations([group.id for group in tree.groups]))[: draw(st.integers(2, 4))]
    changes = {}
    for group in groups:
        amount = max(0, tree.quota(group, GPU_CLASS).guaranteed + draw(st.integers(-4, 4)))
        at_root = group == tree.root.id
        limit = draw(st.none() | st.integers(0, 20) if at_root else st.none() | st.integers(amount, amount + 2))
        changes[group, GPU_CLASS] = Quota(guaranteed=0 if at_root else amount, limit=limit)
    return tree, changes


def set_one_by_one(tree: QuotaTree, order: Sequence[tuple[tuple[int, str], Quota]]) -> bool:
    for (group, gpu_class), new in order:
        if check_quota(tree, group, gpu_class, new) is not None:
            return False
        tree = tree.with_quotas({(group, gpu_class): new})
    return True


@given(policies())
def test_quotas_may_be_set_at_once_exactly_when_some_order_sets_them_one_by_one(
    drawn: tuple[QuotaTree, dict[tuple[int, str], Quota]],
) -> None:
    tree, changes = drawn
    at_once = all(check_quota_among(tree, changes, *key) is None for key in changes)
    assert at_once == any(set_one_by_one(tree, order) for order in permutations(changes.items()))


@pytest.mark.parametrize(
    ("together", "alone"),
    [
        ({"vision": Quota(guaranteed=15), "research": Quota(guaranteed=16)}, "vision"),
        ({"vision": Quota(guaranteed=3), "research": Quota(guaranteed=4)}, "research"),
        ({"state": Quota(guaranteed=2), "federation": Quota(limit=12)}, "federation"),
    ],
)
def test_what_goes_together_is_taken_together_and_not_the_one_alone(together: dict[str, Quota], alone: str) -> None:
    tree = tree_of(PARENTS, QUOTAS)
    changes = {(id_of(tree, name), GPU_CLASS): quota for name, quota in together.items()}
    assert [check_quota_among(tree, changes, *key) for key in changes] == [None, None]
    assert check(alone, together[alone]) is not None


@pytest.mark.parametrize("name", ["guaranteed", "limit", "borrowing_limit", "lending_limit", "weight"])
def test_a_number_may_reach_its_bound_and_not_pass_it(name: str) -> None:
    lowest, highest = (1, WEIGHT_MAX) if name == "weight" else (0, GPUS_MAX)
    for value in (lowest, highest):
        refusal = check("state", Quota(**{name: value}))
        assert refusal is None or refusal.code is not RefusalCode.OUT_OF_RANGE
    for value, bound in ((lowest - 1, lowest), (highest + 1, highest)):
        refusal = check("state", Quota(**{name: value}))
        assert told(refusal) == (RefusalCode.OUT_OF_RANGE, 5, name, {"value": value, "bound": bound})


def test_a_group_that_is_not_there_is_refused() -> None:
    tree = tree_of(PARENTS, QUOTAS)
    for refusal in (check_quota(tree, 9, GPU_CLASS, Quota()), check_new_group(tree, 9, "x"), check_move(tree, 9, 1)):
        assert refusal is not None
        assert (refusal.code, refusal.group) == (RefusalCode.UNKNOWN_GROUP, 9)
    moved = check_move(tree, 2, 9)
    assert moved is not None
    assert (moved.code, moved.group) == (RefusalCode.UNKNOWN_GROUP, 9)


def test_a_name_is_taken_among_siblings_alone() -> None:
    tree = tree_of(PARENTS, QUOTAS)
    assert told(check_new_group(tree, 2, "vision")) == (RefusalCode.NAME_TAKEN, 3, "name", {})
    assert check_new_group(tree, 5, "vision") is None


def test_a_group_moves_below_whoever_is_guaranteed_enough_and_neither_below_itself_nor_beside_its_name() -> None:
    tree = tree_of(PARENTS, QUOTAS | {"state": Quota(guaranteed=6)})
    assert check_move(tree, id_of(tree, "vision"), id_of(tree, "state")) is None
    small = tree_of(PARENTS, QUOTAS)
    assert told(check_move(small, 3, 5)) == (RefusalCode.GUARANTEE_EXCEEDED, 5, "guaranteed", sums(6, 5))
    assert check_move(small, 3, 2) is None  # it is there
    for below in (2, 3):
        assert told(check_move(small, 2, below)) == (RefusalCode.GROUP_CYCLE, 2, "parent", {})
    twins = tree_of(PARENTS | {"Vision": "state"}, {})
    renamed = [Group(each.id, each.name.lower(), each.parent) for each in twins.groups]
    assert told(check_move(QuotaTree.build(renamed, {}), 3, 5)) == (RefusalCode.NAME_TAKEN, 6, "name", {})


def test_a_move_has_to_fit_in_every_class() -> None:
    groups = tree_of(PARENTS).groups
    quotas = {(3, "a100"): Quota(guaranteed=2), (3, "h100"): Quota(guaranteed=2), (5, "a100"): Quota(guaranteed=2)}
    refusal = check_move(QuotaTree.build(groups, quotas | {(5, "h100"): Quota(guaranteed=1)}), 3, 5)
    assert refusal is not None
    assert (refusal.gpu_class, dict(refusal.numbers)) == ("h100", sums(2, 1))
    assert check_move(QuotaTree.build(groups, quotas | {(5, "h100"): Quota(guaranteed=2)}), 3, 5) is None


def broken_promises(tree: QuotaTree) -> int:
    """How many GPUs are promised beyond what there is to promise, over all groups."""
    excess = 0
    for group in tree.groups:
        children = tree.children.get(group.id, ())
        quota = tree.quota(group.id, GPU_CLASS)
        promise = quota.limit if group.parent is None else quota.guaranteed
        promised = sum(tree.quota(child, GPU_CLASS).guaranteed for child in children)
        excess += 0 if promise is None else max(0, promised - promise)
    return excess


@given(cases(nested=True, groups_max=6), st.data())
def test_a_quota_is_taken_exactly_when_all_promises_can_be_kept_with_it(case: Case, data: st.DataObject) -> None:
    group = data.draw(st.sampled_from([each.id for each in case.tree.groups if each.parent is not None] or [0]))
    if group == 0:
        return
    new = Quota(guaranteed=data.draw(st.integers(0, 24)))
    quotas = {key: quota for key, quota in case.tree.quotas.items() if key[0] != case.tree.root.id}
    before = QuotaTree.build(case.tree.groups, quotas)
    after = QuotaTree.build(case.tree.groups, quotas | {(group, GPU_CLASS): new})
    assert broken_promises(before) == 0
    assert (check_quota(before, group, GPU_CLASS, new) is None) == (broken_promises(after) == 0)
