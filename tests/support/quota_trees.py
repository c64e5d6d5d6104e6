"""Quota trees for tests: one written as a table, and Hypothesis strategies for random ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from quota.tree import Group, Quota, QuotaTree

GPU_CLASS = "h100"


def tree_of(parents: Mapping[str, str | None], quotas: Mapping[str, Quota] | None = None) -> QuotaTree:
    """Build a tree from name -> parent's name; ids count from 1 in the order given. Names are unique."""
    ids = {name: number for number, name in enumerate(parents, start=1)}
    groups = [Group(ids[name], name, None if above is None else ids[above]) for name, above in parents.items()]
    rows = {(ids[name], GPU_CLASS): quota for name, quota in (quotas or {}).items()}
    return QuotaTree.build(groups, rows)


def id_of(tree: QuotaTree, name: str) -> int:
    """Return the id of the group called ``name``."""
    return next(group.id for group in tree.groups if group.name == name)


@dataclass(frozen=True)
class Case:
    """A tree with demand (own, by group id) and capacity of one class."""

    tree: QuotaTree
    demand: Mapping[int, int]
    capacity: int

    def with_quota(self, group: int, **changed: int | None) -> Case:
        """Return the case with parts of one group's quota changed."""
        quotas = dict(self.tree.quotas)
        quotas[group, GPU_CLASS] = replace(self.tree.quota(group, GPU_CLASS), **changed)
        return replace(self, tree=QuotaTree.build(self.tree.groups, quotas))

    def __repr__(self) -> str:
        rows = [f"{g} {self.tree.quota(g.id, GPU_CLASS)} demand={self.demand.get(g.id)}" for g in self.tree.groups]
        return f"Case(capacity={self.capacity}, " + "\n     ".join(rows) + ")"


@st.composite
def cases(draw: st.DrawFn, *, nested: bool = False, groups_max: int = 9, gpus_max: int = 12) -> Case:
    """Draw a tree, demand and capacity. ``nested``: guarantees lie inside each other and below limits."""
    count = draw(st.integers(1, groups_max))
    parents = [None] + [draw(st.integers(1, number)) for number in range(1, count)]
    names = draw(st.permutations([f"g{number}" for number in range(count)]))
    groups = [Group(number + 1, names[number], parents[number]) for number in range(count)]
    amount = st.integers(0, gpus_max)
    optional = st.none() | amount
    quotas: dict[tuple[int, str], Quota] = {}
    for group in reversed(groups):
        if not draw(st.booleans()) and not nested:
            continue
        guaranteed = draw(st.just(0) | amount)
        limit = draw(optional)
        if nested:
            promised = [quotas[each.id, GPU_CLASS].guaranteed for each in groups if each.parent == group.id]
            guaranteed += sum(promised)
            limit = None if limit is None else guaranteed + limit
        quotas[group.id, GPU_CLASS] = Quota(
            guaranteed=guaranteed,
            limit=limit,
            borrowing_limit=draw(optional),
            lending_limit=draw(optional),
            weight=draw(st.integers(1, 5)),
        )
    demand = {group.id: draw(st.just(0) | st.integers(0, 2 * gpus_max)) for group in groups}
    return Case(QuotaTree.build(groups, quotas), demand, draw(st.integers(0, 4 * gpus_max)))
