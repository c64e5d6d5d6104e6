"""What guarantees are worth when capacity is lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from quota_trees import GPU_CLASS, Case, cases, id_of, tree_of

from quota.effective import effective_guarantees
from quota.fair_share_oracle import effective_oracle
from quota.tree import Quota


def effective(case: Case, capacity: int | None) -> np.ndarray:
    return effective_guarantees(case.tree.of_class(GPU_CLASS), capacity).effective


@given(cases())
def test_scaling_equals_handing_out_one_gpu_at_a_time(case: Case) -> None:
    expected = effective_oracle(case.tree, GPU_CLASS, case.capacity)
    found = effective(case, case.capacity)
    assert {group.id: int(worth) for group, worth in zip(case.tree.groups, found, strict=True)} == expected


@given(cases(nested=True), st.data())
def test_what_lies_in_cells_that_can_be_held_does_not_scale_down(case: Case, data: st.DataObject) -> None:
    groups = st.sampled_from([group.id for group in case.tree.groups[1:]] or [case.tree.root.id])
    own = data.draw(st.dictionaries(groups, st.integers(0, 6), max_size=3))
    case = replace(case, tree=case.tree.with_shaped({(group, GPU_CLASS): gpus for group, gpus in own.items()}))
    expected = effective_oracle(case.tree, GPU_CLASS, case.capacity)
    found = effective(case, case.capacity)
    assert {group.id: int(worth) for group, worth in zip(case.tree.groups, found, strict=True)} == expected
    shaped = case.tree.of_class(GPU_CLASS).shaped
    top = [case.tree.positions[child] for child in case.tree.children.get(case.tree.root.id, ())]
    if shaped[top].sum() <= found[0]:
        assert (found[1:] >= shaped[1:]).all()


@given(cases())
def test_guarantees_never_scale_up_nor_fall_as_capacity_grows(case: Case) -> None:
    found = effective(case, case.capacity)
    assert (found[1:] <= case.tree.of_class(GPU_CLASS).guaranteed[1:]).all()
    assert (effective(case, case.capacity + 1) >= found).all()


@given(cases(nested=True))
def test_with_ample_capacity_a_guarantee_is_worth_what_it_says(case: Case) -> None:
    assert (effective(case, None)[1:] == case.tree.of_class(GPU_CLASS).guaranteed[1:]).all()


@pytest.mark.parametrize(("slots", "worth"), [(30, (20, 10)), (15, (10, 5)), (60, (20, 10))])
def test_htcondor_quotas_scale_down_with_the_pool_and_never_up(slots: int, worth: tuple[int, int]) -> None:
    tree = tree_of(
        {"pool": None, "physics": "pool", "chemistry": "pool"},
        {"physics": Quota(guaranteed=20), "chemistry": Quota(guaranteed=10)},
    )
    found = effective_guarantees(tree.of_class(GPU_CLASS), slots)
    physics, chemistry = (tree.positions[id_of(tree, name)] for name in ("physics", "chemistry"))
    assert (found.effective[physics], found.effective[chemistry]) == worth
    assert list(found.scaled_down) == ([chemistry, physics] if slots == 15 else [])


def test_a_scaled_guarantee_scales_those_inside_it() -> None:
    parents = {"federation": None, "a": "federation", "b": "federation", "a1": "a", "a2": "a"}
    quotas = {name: Quota(guaranteed=gpus) for name, gpus in (("a", 8), ("b", 8), ("a1", 6), ("a2", 2))}
    tree = tree_of(parents, quotas)
    found = effective(Case(tree, {}, 0), 8)
    names = [group.name for group in tree.groups]
    assert dict(zip(names, found.tolist(), strict=True)) == {"federation": 8, "a": 4, "b": 4, "a1": 3, "a2": 1}
