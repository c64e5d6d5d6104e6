"""Admission against the definition, added up by hand: who holds what, and whose bound one more GPU would break."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from quota.admission import Admitted, Usage, admit, available, available_all, ceiling, guarantee_left
from quota.effective import effective_guarantees
from quota.tree import ClassTree, Group, Quota, QuotaTree

#: id, parent: three levels, so that a reserve may lie inside another
TREE = ((1, None), (2, 1), (3, 1), (4, 2), (5, 2), (6, 3))
AMOUNTS = st.integers(0, 6)


@st.composite
def quotas(draw: st.DrawFn) -> dict[tuple[int, str], Quota]:
    """Small numbers, so that every bound is met again and again."""
    found = {}
    for group, _ in TREE:
        if draw(st.booleans()):
            guaranteed = 0 if group == 1 else draw(AMOUNTS)
            found[group, "h100"] = Quota(
                guaranteed=guaranteed,
                limit=draw(st.none() | st.integers(guaranteed, 10)),
                borrowing_limit=None if group == 1 else draw(st.none() | AMOUNTS),
                lending_limit=None if group == 1 else draw(st.none() | AMOUNTS),
            )
    return found


CASES = st.tuples(
    quotas(),
    st.integers(0, 14),
    st.dictionaries(st.sampled_from([group for group, _ in TREE]), st.integers(0, 5)),
    st.sampled_from([group for group, _ in TREE]),
    st.integers(1, 6),
    st.booleans(),
)
Case = tuple[dict[tuple[int, str], Quota], int, dict[int, int], int, int, bool]


def tree_of(given_quotas: dict[tuple[int, str], Quota]) -> ClassTree:
    members = [Group(group, f"group-{group}", parent) for group, parent in TREE]
    return QuotaTree.build(members, given_quotas).of_class("h100")


class ByHand:
    """The definition of ``quota.admission``, word by word and without a memory."""

    def __init__(self, given_quotas: dict[tuple[int, str], Quota], capacity: int, own: dict[int, int]) -> None:
        self.quotas = {group: given_quotas.get((group, "h100"), Quota()) for group, _ in TREE}
        self.capacity = capacity
        self.own = {group: own.get(group, 0) for group, _ in TREE}
        tree = tree_of(given_quotas)
        effective = effective_guarantees(tree, capacity).effective
        self.guaranteed = {group: int(effective[tree.position(group)]) for group, _ in TREE}

    def used(self, group: int) -> int:
        return self.own[group] + sum(self.used(child) for child, parent in TREE if parent == group)

    def ceiling(self, group: int) -> float:
        quota = self.quotas[group]
        bounds = [float("inf") if quota.limit is None else quota.limit]
        if quota.borrowing_limit is not None:
            bounds.append(quota.guaranteed + quota.borrowing_limit)
        if group == 1:
            bounds.append(self.capacity)
        return min(bounds)

    def reserve(self, group: int) -> float:
        """The part of a guarantee that is not lent: no more than the guarantee is worth, and within the ceiling."""
        quota = self.quotas[group]
        if group == 1 or quota.lending_limit is None:
            return 0
        declared = min(max(quota.guaranteed - quota.lending_limit, 0), self.ceiling(group))
        return max(min(self.guaranteed[group] - quota.lending_limit, declared), 0)

    def holds(self, group: int) -> float:
        inside = self.own[group] + sum(self.holds(child) for child, parent in TREE if parent == group)
        return max(inside, self.reserve(group))

    def path(self, group: int) -> list[int]:
        parent = dict(TREE)[group]
        return [group] if parent is None else [group, *self.path(parent)]

    def may_start(self, group: int, gpus: int, *, inside_guarantee: bool) -> bool:
        """Start it on a copy, and look whether anybody on the path holds too much."""
        twin = ByHand.__new__(ByHand)
        twin.__dict__ = {**self.__dict__, "own": {**self.own, group: self.own[group] + gpus}}
        if inside_guarantee and twin.used(group) > self.guaranteed[group]:
            return False
        return all(twin.holds(each) <= self.ceiling(each) for each in self.path(group))


@given(CASES)
def test_what_may_start_is_what_breaks_no_bound_when_it_is_added_up(case: Case) -> None:
    given_quotas, capacity, own, group, gpus, inside = case
    tree, hand = tree_of(given_quotas), ByHand(given_quotas, capacity, own)
    usage = Usage(tree, capacity, tree.array(own))
    # A group that holds too much already is refused whatever it asks for; above it nothing is said of its parents.
    answer = admit(usage, group, gpus, inside_guarantee=inside)
    assert isinstance(answer, Admitted) == hand.may_start(group, gpus, inside_guarantee=inside)


@given(CASES)
def test_what_is_available_is_the_most_that_may_start(case: Case) -> None:
    given_quotas, capacity, own, group, _, _ = case
    tree, hand = tree_of(given_quotas), ByHand(given_quotas, capacity, own)
    usage = Usage(tree, capacity, tree.array(own))
    free = available(usage, group)
    assert free == int(available_all(usage)[tree.position(group)])
    if 1 <= free <= capacity:
        assert hand.may_start(group, free, inside_guarantee=False)
    assert not hand.may_start(group, max(free, 0) + 1, inside_guarantee=False)
    assert guarantee_left(usage, group) == hand.guaranteed[group] - hand.used(group)


@given(CASES)
def test_charging_step_by_step_equals_starting_from_the_sum(case: Case) -> None:
    given_quotas, capacity, own, group, gpus, _ = case
    tree = tree_of(given_quotas)
    usage = Usage(tree, capacity, tree.array(own))
    usage.charge(group, gpus)
    fresh = Usage(tree, capacity, tree.array({**own, group: own.get(group, 0) + gpus}))
    hand = ByHand(given_quotas, capacity, {**own, group: own.get(group, 0) + gpus})
    for each, _ in TREE:
        position = tree.position(each)
        assert int(usage.held()[position]) == int(fresh.held()[position]) == hand.holds(each)
        assert int(usage.used[position]) == hand.used(each)
    usage.release(group, gpus)
    assert list(usage.held()) == list(Usage(tree, capacity, tree.array(own)).held())


@given(quotas(), st.sampled_from([group for group, _ in TREE]))
def test_a_ceiling_is_the_most_that_could_ever_start(given_quotas: dict[tuple[int, str], Quota], group: int) -> None:
    ample = 1_000
    hand = ByHand(given_quotas, ample, {})
    assume(all(hand.guaranteed[each] == quota.guaranteed for each, quota in hand.quotas.items() if each != 1))
    most = ceiling(tree_of(given_quotas), group)
    if most is None:
        assert hand.may_start(group, ample - 100, inside_guarantee=False)
        return
    assert most <= 0 or hand.may_start(group, most, inside_guarantee=False)
    assert not hand.may_start(group, max(most, 0) + 1, inside_guarantee=False)
