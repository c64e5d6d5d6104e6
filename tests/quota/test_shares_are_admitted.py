"""What fair shares promise, admission lets start. Where capacity was lost it lends more than they say, and takes it back."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from quota_trees import GPU_CLASS, Case, cases, id_of, tree_of

from quota.admission import Admitted, Usage, admit, available
from quota.effective import effective_guarantees
from quota.fair_share import FairShares, fair_share
from quota.tree import Quota

CASES = st.one_of(cases(), cases(nested=True))


def share(case: Case) -> FairShares:
    tree = case.tree.of_class(GPU_CLASS)
    return fair_share(tree, tree.array(case.demand), case.capacity)


@given(CASES, st.randoms(use_true_random=False))
def test_every_group_may_start_all_of_its_share_in_any_order_whatever_capacity_was_lost(
    case: Case, dice: random.Random
) -> None:
    shares = share(case)
    usage = Usage(case.tree.of_class(GPU_CLASS), case.capacity)
    waiting = [group.id for group, own in zip(case.tree.groups, shares.own, strict=True) for _ in range(int(own))]
    dice.shuffle(waiting)
    for group in waiting:
        assert isinstance(admit(usage, group, 1), Admitted), group
        usage.charge(group, 1)


@given(CASES)
def test_admission_keeps_no_more_idle_for_a_group_than_its_share_does(case: Case) -> None:
    tree = case.tree.of_class(GPU_CLASS)
    usage = Usage(tree, case.capacity)
    assert (usage.reserve <= share(case).entitled).all()
    if not len(effective_guarantees(tree, case.capacity).scaled_down):
        assert (usage.reserve[1:] == tree.reserve[1:]).all(), "the same, where no guarantee is worth less than declared"


def test_where_capacity_was_lost_idle_gpus_are_lent_beyond_the_shares_until_their_owner_asks() -> None:
    # Each guarantee is worth 5 of its 10. The owner lends 5 GPUs: all that it has left, and nobody is kept from them.
    tree = tree_of(
        {"federation": None, "borrower": "federation", "owner": "federation"},
        {"borrower": Quota(guaranteed=10), "owner": Quota(guaranteed=10, lending_limit=5)},
    )
    borrower, owner = id_of(tree, "borrower"), id_of(tree, "owner")
    assert share(Case(tree, {borrower: 20, owner: 0}, 10)).of(borrower) == 5
    assert available(Usage(tree.of_class(GPU_CLASS), 10), borrower) == 10
    both = share(Case(tree, {borrower: 20, owner: 20}, 10))
    assert (both.of(borrower), both.of(owner)) == (5, 5), (
        "what was lent beyond its share is what the borrower gives back"
    )
