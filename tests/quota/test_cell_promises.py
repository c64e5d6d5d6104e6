"""Cells inside cells: what children may have, what a guarantee has to hold, and whose each cell is in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations

import pytest
from cell_forests import leaf, spine
from hypothesis import given
from hypothesis import strategies as st
from quota_trees import GPU_CLASS, id_of, tree_of

from quota.cell_promises import check_guarantee_of_cells, rights_of, shortage
from quota.cell_shape import KINDS_MAX, Cells, Level
from quota.cells import Right
from quota.changes import check_move, check_quota
from quota.refusal import Refusal, RefusalCode
from quota.tree import Quota, QuotaTree

PARENTS = {
    "federation": None,
    "research": "federation",
    "vision": "research",
    "speech": "research",
    "state": "federation",
}
ROOM = Quota(guaranteed=1_000)


def leaves(nodes: int, number: int = 1) -> Cells:
    return Cells(Level.LEAF, nodes, number)


def tree(**cells: Sequence[Cells]) -> QuotaTree:
    return tree_of(PARENTS, {name: Quota(guaranteed=1_000, cells=tuple(mine)) for name, mine in cells.items()})


def check(before: QuotaTree, name: str, *cells: Cells, guaranteed: int = 1_000) -> Refusal | None:
    return check_quota(before, id_of(before, name), GPU_CLASS, Quota(guaranteed=guaranteed, cells=cells))


def test_children_may_have_all_the_cells_of_their_parent_and_not_one_more() -> None:
    before = tree(research=[leaves(4, 3)], vision=[leaves(4, 2)], speech=[])
    assert check(before, "speech", leaves(4)) is None
    refusal = check(before, "speech", leaves(4, 2))
    assert refusal is not None
    assert (refusal.code, refusal.group, refusal.field) == (RefusalCode.CELLS_BEYOND_PARENT, 2, "h100 leaf of 4")
    assert refusal.numbers == {"asked": 4, "limit": 3, "short": 1}


def test_a_cell_may_be_smaller_than_the_one_of_the_parent_that_it_is_and_no_larger() -> None:
    before = tree(research=[leaves(4)], vision=[])
    assert check(before, "vision", leaves(2)) is None
    assert check(before, "vision", leaves(5)) is not None
    assert check(before, "vision", Cells(Level.SPINE, 4, 1)) is not None


def test_cells_may_fall_to_those_of_the_children_and_no_lower() -> None:
    before = tree(research=[leaves(4, 3)], vision=[leaves(3, 2)])
    assert check(before, "research", leaves(3, 2)) is None
    refusal = check(before, "research", leaves(3), leaves(2))
    assert refusal is not None and refusal.group == id_of(before, "research")


def test_less_is_welcome_though_the_children_have_too_many() -> None:
    before = tree(research=[], vision=[leaves(4, 3)], speech=[leaves(4)])
    assert check(before, "vision", leaves(4, 2)) is None


def test_a_group_with_cells_moves_only_where_its_new_parent_holds_them() -> None:
    before = tree(research=[leaves(4, 2)], state=[leaves(4)], vision=[leaves(4)], speech=[leaves(4)])
    assert check_move(before, id_of(before, "vision"), id_of(before, "state")) is None
    crowded = tree(research=[leaves(4, 2)], state=[leaves(2)], vision=[leaves(4)], speech=[leaves(4)])
    refusal = check_move(crowded, id_of(crowded, "vision"), id_of(crowded, "state"))
    assert refusal is not None and refusal.code is RefusalCode.CELLS_BEYOND_PARENT
    upwards = check_move(before, id_of(before, "vision"), id_of(before, "federation"))
    assert upwards is not None and upwards.numbers["limit"] == 0


@pytest.mark.parametrize(
    ("cells", "field"),
    [
        ((leaves(0),), "cells.0.nodes"),
        ((leaves(4), Cells(Level.NODE, 2, 1)), "cells.1.nodes"),
        ((leaves(4, 0),), "cells.0.number"),
        ((leaves(4), leaves(4)), "cells"),
        (tuple(leaves(nodes) for nodes in range(1, KINDS_MAX + 2)), "cells"),
    ],
)
def test_cells_that_cannot_be_are_refused_by_name(cells: tuple[Cells, ...], field: str) -> None:
    refusal = check(tree(), "research", *cells)
    assert refusal is not None and (refusal.code, refusal.field) == (RefusalCode.OUT_OF_RANGE, field)


def test_the_federation_is_granted_no_cells() -> None:
    refusal = check_quota(tree(), 1, GPU_CLASS, Quota(cells=(leaves(4),)))
    assert refusal is not None and refusal.code is RefusalCode.ROOT_QUOTA


def of_guarantee(before: QuotaTree, name: str, new: Quota) -> tuple[int, int, int] | None:
    refusal = check_guarantee_of_cells(
        before, {(id_of(before, name), GPU_CLASS): new}, id_of(before, name), GPU_CLASS, 8
    )
    return refusal and (refusal.group, refusal.numbers["asked"], refusal.numbers["limit"])


def test_a_guarantee_holds_the_gpus_of_its_cells() -> None:
    assert of_guarantee(tree(), "state", Quota(guaranteed=64, cells=(leaves(4, 2),))) is None
    assert of_guarantee(tree(), "state", Quota(guaranteed=63, cells=(leaves(4, 2),))) == (5, 64, 63)


def test_what_children_are_guaranteed_without_a_shape_lies_beside_the_cells() -> None:
    before = tree_of(PARENTS, {"research": Quota(guaranteed=40, cells=(leaves(4),)), "vision": Quota(guaranteed=8)})
    assert of_guarantee(before, "speech", Quota(guaranteed=32, cells=(leaves(4),))) is None
    assert of_guarantee(before, "speech", Quota(guaranteed=1)) == (2, 41, 40)
    assert of_guarantee(before, "vision", Quota(guaranteed=7)) is None


def test_what_was_promised_too_much_before_may_become_less() -> None:
    before = tree_of(PARENTS, {"research": Quota(guaranteed=40, cells=(leaves(8),)), "vision": Quota(guaranteed=8)})
    assert of_guarantee(before, "vision", Quota(guaranteed=4)) is None
    assert of_guarantee(before, "research", Quota(guaranteed=40, cells=(leaves(7),))) is None


def test_each_cell_belongs_to_the_lowest_group_that_has_it_and_is_of_the_kind_that_was_granted_at_the_top() -> None:
    found = tree(
        research=[leaves(4, 2), leaves(2), Cells(Level.SPINE, 8, 1)], vision=[leaves(3)], speech=[leaves(1)], state=[]
    )
    research, vision, speech = (id_of(found, name) for name in ("research", "vision", "speech"))
    assert rights_of(found, GPU_CLASS) == {
        Right(vision, leaf(4)): 1,
        Right(speech, leaf(2)): 1,
        Right(research, leaf(4)): 1,
        Right(research, spine(8)): 1,
    }


SMALL = st.lists(
    st.builds(Cells, st.sampled_from((Level.LEAF, Level.SPINE)), st.integers(1, 3), st.just(1)), max_size=4
)


def singly_matched(inner: Sequence[Cells], outer: Sequence[Cells]) -> bool:
    """Whether some order of the outer cells serves the inner ones in turn."""
    return any(
        all(one.level == other.level and one.nodes <= other.nodes for one, other in zip(inner, chosen, strict=True))
        for chosen in permutations(outer, len(inner))
    )


@given(SMALL, SMALL)
def test_nothing_is_short_exactly_when_every_cell_can_be_one_of_the_others(
    inner: list[Cells], outer: list[Cells]
) -> None:
    assert (shortage(inner, outer) is None) is singly_matched(inner, outer)


def together(cells: Sequence[Cells]) -> tuple[Cells, ...]:
    numbers: dict[tuple[Level, int], int] = {}
    for each in cells:
        numbers[each.level, each.nodes] = numbers.get((each.level, each.nodes), 0) + each.number
    return tuple(Cells(level, nodes, number) for (level, nodes), number in numbers.items())


@given(st.fixed_dictionaries(dict.fromkeys(("research", "vision", "speech", "state"), SMALL)))
def test_rights_are_as_many_of_each_kind_as_the_topmost_groups_have(cells: Mapping[str, list[Cells]]) -> None:
    found = tree(**{name: together(mine) for name, mine in cells.items()})
    rights = rights_of(found, GPU_CLASS)
    top = [(each.level, each.nodes) for name in ("research", "state") for each in cells[name]]
    kinds = [(right.kind.level, right.kind.nodes) for right, number in rights.items() for _ in range(number)]
    assert sorted(kinds) == sorted(top)
    if shortage([*cells["vision"], *cells["speech"]], cells["research"]) is None:
        for name in ("vision", "speech"):
            number = sum(count for right, count in rights.items() if right.group == id_of(found, name))
            assert number == len(cells[name])
