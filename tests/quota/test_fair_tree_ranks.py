"""The order by arrays against the order by exact keys, path by path."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from quota_trees import GPU_CLASS, Case, cases, tree_of

from quota.errors import UsageError
from quota.fair_tree import fair_tree
from quota.fair_tree_ranks import _by_arrays, fair_tree_ranks
from quota.tree import ClassTree, IntArray, Quota, QuotaTree

#: Few and small ones, so that many are tied; large ones a unit apart, which doubles do not tell apart.
USES = st.integers(0, 3) | st.integers(2**58, 2**58 + 3) | st.integers(0, 2**58)
WEIGHTS = st.integers(1, 3) | st.integers(1, 2**20)


def exact(tree: ClassTree, use: IntArray) -> list[int]:
    turns = fair_tree(tree, use.tolist()).order.tolist()
    return [turns.index(position) for position in range(len(tree))]


@given(cases(groups_max=12), st.data())
def test_groups_stand_as_by_exact_fractions(case: Case, data: st.DataObject) -> None:
    quotas = {
        (group.id, GPU_CLASS): replace(case.tree.quota(group.id, GPU_CLASS), weight=data.draw(WEIGHTS))
        for group in case.tree.groups
    }
    tree = QuotaTree.build(case.tree.groups, quotas).of_class(GPU_CLASS)
    use = np.array(data.draw(st.lists(USES, min_size=len(tree), max_size=len(tree))), np.int64)
    assert _by_arrays(tree, use).tolist() == exact(tree, use) == fair_tree_ranks(tree, use).tolist()


@given(st.lists(st.integers(1, 3), min_size=4, max_size=12), st.integers(2**50, 2**56), st.data())
@example([1, 1, 1, 2], 2**55 + 1, None)
def test_what_doubles_cannot_tell_apart_is_told_apart(
    weights: list[int], unit: int, data: st.DataObject | None
) -> None:
    names = [f"g{number:02}" for number in range(len(weights))]
    parents: dict[str, str | None] = {"all": None} | dict.fromkeys(names, "all")
    tree = tree_of(parents, {name: Quota(weight=weight) for name, weight in zip(names, weights, strict=True)})
    extra = [0] * len(weights) if data is None else [data.draw(st.integers(-1, 1)) for _ in weights]
    use = [weight * unit + more for weight, more in zip(weights, extra, strict=True)]
    amounts = tree.of_class(GPU_CLASS).array(dict(enumerate(use, start=2)))
    assert _by_arrays(tree.of_class(GPU_CLASS), amounts).tolist() == exact(tree.of_class(GPU_CLASS), amounts)


@pytest.mark.parametrize("leaves", [1, 200])
def test_where_nothing_was_used_paths_that_end_stand_before_those_that_go_on(leaves: int) -> None:
    below = {f"a-{number:03}": "a" for number in range(leaves)}
    tree = tree_of({"all": None, "a": "all", "b": "all"} | below).of_class(GPU_CLASS)
    turns = np.argsort(fair_tree_ranks(tree, np.zeros(len(tree), np.int64)))
    numbers = tree.group_ids[turns].tolist()
    assert numbers == [1, 3, 2, *range(4, leaves + 4)]


@pytest.mark.parametrize("use", [[0, -1], [0], [2**62, 2**62]])
def test_amounts_that_cannot_be_are_faults(use: list[int]) -> None:
    tree = tree_of({"all": None, "a": "all"}).of_class(GPU_CLASS)
    with pytest.raises(UsageError):
        fair_tree_ranks(tree, np.array(use, np.int64))
