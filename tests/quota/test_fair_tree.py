"""Fair Tree against Slurm's walk down the tree with exact fractions, and the guarantee that it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quota_trees import GPU_CLASS, Case, cases, id_of, tree_of

from quota.errors import UsageError
from quota.fair_tree import FairTree, fair_tree
from quota.tree import Quota, QuotaTree

USES = st.integers(0, 3) | st.integers(0, 2**100)


@dataclass
class Walk:
    """Depth first, siblings by fairness, workers before groups, groups that are tied merged into one family."""

    tree: QuotaTree
    use: Mapping[int, int]

    def __post_init__(self) -> None:
        self.places: dict[int, int] = {}
        self.last = 0
        if self.tree.children.get(self.tree.root.id):
            self.visit(self.family(self.tree.root.id), tied=False)
        else:
            self.places[self.tree.root.id] = 0

    def used(self, group: int) -> int:
        return self.use[group] + sum(self.used(child) for child in self.tree.children.get(group, ()))

    def family(self, parent: int) -> list[tuple[Fraction | float, int, bool]]:
        """Fairness, group, whether it is to be walked: of the children, and of the parent's own work."""
        children = self.tree.children[parent]
        members = [(1, self.use[parent], parent, False)]
        for child in children:
            weight = self.tree.quota(child, GPU_CLASS).weight
            members.append((weight, self.used(child), child, bool(self.tree.children.get(child))))
        weights, uses = sum(member[0] for member in members), sum(member[1] for member in members)
        return [
            (Fraction(weight, weights) / Fraction(use, uses) if use else inf, group, walked)
            for weight, use, group, walked in members
        ]

    def visit(self, family: list[tuple[Fraction | float, int, bool]], *, tied: bool) -> None:
        for fairness in sorted({member[0] for member in family}, reverse=True):
            equals = [member for member in family if member[0] == fairness]
            for _, worker, walked in equals:
                if not walked:
                    self.last = self.last if tied else len(self.places)
                    self.places[worker] = self.last
                    tied = True
            merged = [each for _, group, walked in equals if walked for each in self.family(group)]
            self.visit(merged, tied=tied)
            tied = False


def placed(tree: QuotaTree, use: Mapping[int, int]) -> FairTree:
    return fair_tree(tree.of_class(GPU_CLASS), [use[group.id] for group in tree.groups])


def places_by_name(tree: QuotaTree, use: Mapping[str, int]) -> dict[str, int]:
    found = placed(tree, {group.id: use.get(group.name, 0) for group in tree.groups})
    return {name: int(found.place[tree.positions[id_of(tree, name)]]) for name in use}


def below(tree: QuotaTree, group: int) -> list[int]:
    return [group, *(each for child in tree.children.get(group, ()) for each in below(tree, child))]


@given(cases(), st.data())
def test_places_are_those_of_a_walk_with_exact_fractions(case: Case, data: st.DataObject) -> None:
    use = {group.id: data.draw(USES) for group in case.tree.groups}
    found = placed(case.tree, use)
    assert {group.id: int(found.place[case.tree.positions[group.id]]) for group in case.tree.groups} == Walk(
        case.tree, use
    ).places


@given(cases(groups_max=12), st.data())
def test_all_of_a_group_that_stands_above_its_sibling_stand_above_all_of_it(case: Case, data: st.DataObject) -> None:
    tree, use = case.tree, {group.id: data.draw(USES) for group in case.tree.groups}
    found = placed(tree, use)

    def used(group: int) -> int:
        return sum(use[each] for each in below(tree, group))

    for siblings in tree.children.values():
        for first in siblings:
            for second in siblings:
                weights = [tree.quota(each, GPU_CLASS).weight for each in (first, second)]
                if weights[0] * used(second) > weights[1] * used(first):
                    last = max(found.place[tree.positions[each]] for each in below(tree, first))
                    assert last < min(found.place[tree.positions[each]] for each in below(tree, second))


@given(cases(), st.data())
def test_the_order_has_everybody_once_in_front_first(case: Case, data: st.DataObject) -> None:
    found = placed(case.tree, {group.id: data.draw(USES) for group in case.tree.groups})
    assert sorted(found.order.tolist()) == list(range(len(case.tree.groups)))
    in_order = [int(found.place[position]) for position in found.order]
    assert in_order == sorted(in_order)
    assert found.factor(int(found.order[0])) == 1


@given(cases(), st.integers(2, 2**40), st.data())
def test_the_unit_of_use_makes_no_difference(case: Case, unit: int, data: st.DataObject) -> None:
    use = {group.id: data.draw(USES) for group in case.tree.groups}
    scaled = placed(case.tree, {group: unit * amount for group, amount in use.items()})
    assert scaled.place.tolist() == placed(case.tree, use).place.tolist()


@given(cases(), st.data())
def test_less_use_never_makes_a_place_worse(case: Case, data: st.DataObject) -> None:
    use = {group.id: data.draw(st.integers(1, 40)) for group in case.tree.groups}
    leaf = data.draw(st.sampled_from([group for group in case.tree.groups if not case.tree.children.get(group.id)]))
    less = {**use, leaf.id: data.draw(st.integers(0, use[leaf.id]))}
    position = case.tree.positions[leaf.id]
    siblings = [each for family in case.tree.children.values() if leaf.id in family for each in family]
    before, after = placed(case.tree, use), placed(case.tree, less)
    for sibling in siblings:
        if before.place[position] < before.place[case.tree.positions[sibling]]:
            assert after.place[position] < after.place[case.tree.positions[sibling]]


def test_equal_ratios_are_equal_where_slurms_floating_point_tells_them_apart() -> None:
    # 40/170 over 20/110 is 22/17, and so are the others; Slurm's published result gives the first one less.
    tree = tree_of(
        {"root": None, "d": "root", "ud2": "d", "ud3": "d", "da": "d", "ud4": "d", "uda3": "da"},
        {"ud2": Quota(weight=40), "ud3": Quota(weight=30), "da": Quota(weight=60), "ud4": Quota(weight=40)},
    )
    use = {"ud2": 20, "ud3": 15, "uda3": 30, "ud4": 45}
    assert places_by_name(tree, {**use, "d": 0, "da": 0}) == {
        "d": 1, "ud2": 2, "ud3": 2, "da": 2, "uda3": 5, "ud4": 6
    }  # fmt: skip


#: Slurm's test24.4 (by Ryan Cox and Levi Morrison): account or user, parent, weight, use, and the fair-share factor that it
#: publishes for a user, in 21sts.
SLURM_TREE: tuple[tuple[str, str | None, int, int, int | None], ...] = (
    ("root", None, 1, 0, None),
    ("u1", "root", 10, 0, 21), ("u2", "root", 10, 10, 14),
    ("aA", "root", 40, 0, None),
    ("aAA", "aA", 30, 0, None), ("uAA1", "aAA", 1, 20, 13),
    ("aAB", "aA", 10, 0, None), ("uAB1", "aAB", 1, 25, 11), ("uAB2", "aAB", 1, 0, 12),
    ("aB", "root", 60, 0, None),
    ("aBA", "aB", 25, 0, None), ("uBA1", "aBA", 1, 25, 15),
    ("aBB", "aB", 35, 0, None), ("uBB1", "aBB", 1, 0, 16),
    ("aC", "root", 1, 0, None), ("uC1", "aC", 1, 30, 1),  # of shares 0, which the least weight stands for
    ("aD", "root", 50, 0, None),
    ("uD1", "aD", 2000, 20, 10), ("uDA1", "aD", 1000, 10, 10),  # "parent": before whoever has shares, and equals
    ("uD2", "aD", 40, 20, 5), ("uD3", "aD", 50, 25, 7), ("uDA2", "aD", 30, 10, 8), ("uDA3", "aD", 50, 25, 7),
    ("aE", "root", 10, 0, None), ("aE1", "aE", 10, 0, 21), ("aE2", "aE", 10, 0, 21),
    ("aF", "root", 20, 0, None), ("uF1", "aF", 10, 0, 21), ("uF2", "aF", 20, 0, 21),
    ("aG", "root", 8, 0, None), ("uG1", "aG", 10, 10, 4),
    ("uGA1", "aG", 10, 4, 4), ("uGA2", "uGA1", 1, 6, 2),  # uGA1 is the own work of the account of both, of equal shares
)  # fmt: skip


def test_slurms_21_users_have_the_factors_that_it_publishes_but_for_the_one_that_its_rounding_sets_back() -> None:
    tree = tree_of(
        {name: parent for name, parent, *_ in SLURM_TREE},
        {name: Quota(weight=weight) for name, parent, weight, *_ in SLURM_TREE if parent is not None},
    )
    places = places_by_name(tree, {name: use for name, _, _, use, _ in SLURM_TREE})
    published = {name: factor for name, *_, factor in SLURM_TREE if factor is not None}
    # Slurm's accounts do no work of their own, so that only users count.
    factors = {user: 21 - sum(places[other] < places[user] for other in published) for user in published}
    assert len(published) == 21
    assert factors == {**published, "uD2": 7}


def test_ratios_that_differ_as_little_as_they_can_are_told_apart() -> None:
    # a and b are as fair as each other, so x and y are compared: a * wb * y's use is one more than b * wa * x's.
    a, b, wa, wb = 2**20 - 3, 2**20 - 5, 2**20 - 1, 2**20 - 9
    ahead, behind = a * wb, b * wa
    y_use = pow(ahead, -1, behind) + (behind << 60)
    x_use = (ahead * y_use - 1) // behind
    assert ahead * y_use - behind * x_use == 1
    unit = max(x_use // a, y_use // b) + 1
    tree = tree_of(
        {"root": None, "a": "root", "b": "root", "x": "a", "idle a": "a", "y": "b", "idle b": "b"},
        {
            "a": Quota(weight=a),
            "b": Quota(weight=b),
            "idle a": Quota(weight=wa - 2),
            "idle b": Quota(weight=wb - 2),
        },
    )
    use = {"a": unit * a - x_use, "x": x_use, "b": unit * b - y_use, "y": y_use, "idle a": 0, "idle b": 0}
    places = places_by_name(tree, use)
    assert places["idle a"] == places["idle b"] == 1
    assert places["x"] < places["y"]


def test_a_light_user_of_a_heavy_group_stands_below_a_heavy_user_of_a_light_one() -> None:
    tree = tree_of({"root": None, "heavy": "root", "light": "root", "h1": "heavy", "h2": "heavy", "l1": "light"})
    use = {"h1": 1, "h2": 99, "l1": 60}
    assert places_by_name(tree, use)["l1"] < places_by_name(tree, use)["h1"]


def test_who_used_nothing_stands_in_front_and_groups_without_use_are_one_family() -> None:
    tree = tree_of({"root": None, "a": "root", "b": "root", "c": "root", "a1": "a", "b1": "b", "c1": "c"})
    places = places_by_name(tree, {"a1": 0, "b1": 0, "c1": 5})
    assert places["a1"] == places["b1"] == 0
    assert places["c1"] > 0


@pytest.mark.parametrize("use", [[0], [0, -1]])
def test_use_that_cannot_be_is_a_fault(use: list[int]) -> None:
    with pytest.raises(UsageError):
        fair_tree(tree_of({"root": None, "a": "root"}).of_class(GPU_CLASS), use)
