"""What earns standing and what costs it: one family after the other, and what nobody may gain by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import assume, event, given
from hypothesis import strategies as st
from quota_trees import GPU_CLASS, Case, cases, id_of, tree_of

from quota.admission import Usage
from quota.fair_share import fair_share
from quota.standing import PARTS
from quota.standing_oracle import standing_rates_oracle, subtree_of
from quota.standing_rates import LentGpus, StandingRates, standing_rates
from quota.tree import IntArray, Quota, QuotaTree


@dataclass(frozen=True)
class Moment:
    """Who uses what, asks for what more, and runs on whose nodes; by position."""

    case: Case
    own: IntArray
    queued: IntArray
    offered: IntArray
    lent: tuple[LentGpus, ...]

    @property
    def usage(self) -> Usage:
        return Usage(self.case.tree.of_class(GPU_CLASS), self.case.capacity, self.own)

    def rates(self) -> StandingRates:
        usage = self.usage
        shares = fair_share(usage.tree, self.own + self.queued, usage.capacity)
        return standing_rates(usage, shares, self.offered, self.lent)


@st.composite
def moments(draw: st.DrawFn, *, offers: bool = True) -> Moment:
    case = draw(cases(nested=draw(st.booleans())))
    size = len(case.tree.groups)

    def amounts(most: int) -> IntArray:
        return np.array(draw(st.lists(st.just(0) | st.integers(0, most), min_size=size, max_size=size)), np.int64)

    own, queued, offered = amounts(12), amounts(12), amounts(12 if offers else 0)
    lent = []
    for lender in np.flatnonzero(offered).tolist():
        left = int(offered[lender])
        for user in np.flatnonzero(own).tolist():
            gpus = draw(st.integers(0, min(left, int(own[user]))))
            left -= gpus
            lent.append((lender, user, gpus))
    return Moment(case, own, queued, offered, tuple(lent))


@given(moments())
def test_arrays_say_what_families_say_one_after_the_other(moment: Moment) -> None:
    usage, found = moment.usage, moment.rates()
    shares = fair_share(usage.tree, moment.own + moment.queued, usage.capacity)
    offered = dict(enumerate(moment.offered.tolist()))
    expected = standing_rates_oracle(usage, shares, offered, moment.lent)
    assert list(zip(found.lends.tolist(), found.surges.tolist(), strict=True)) == expected


@given(moments(offers=False))
def test_nothing_is_lent_but_what_others_hold_above_their_guarantees_and_no_more_than_is_left(moment: Moment) -> None:
    usage, lends = moment.usage, moment.rates().lends
    tree, held = usage.tree, usage.held()
    for at in range(1, len(tree)):
        inside = subtree_of(tree, at)
        outside = [int(usage.own[other]) for other in range(len(tree)) if other not in inside]
        assert lends[at] <= max(0, int(usage.guaranteed[at] - held[at])) * PARTS
        assert lends[at] <= sum(outside) * PARTS
    at_the_top = np.flatnonzero(tree.parent == 0)
    over = int(usage.own[0]) + sum(max(0, int(held[at] - usage.guaranteed[at])) for at in at_the_top)
    nobodys = int(usage.guaranteed[0]) - int(usage.guaranteed[at_the_top].sum())
    left = sum(max(0, int(usage.guaranteed[at] - held[at])) for at in at_the_top)
    lent = int(lends[at_the_top].sum())
    event(f"lent: {lent > 0}")
    assert lent == min(left, max(0, over - nobodys)) * PARTS


@given(moments(offers=False))
def test_siblings_earn_in_proportion_to_what_they_leave(moment: Moment) -> None:
    usage, lends = moment.usage, moment.rates().lends
    spare = np.maximum(usage.guaranteed - usage.held(), 0)
    for parent in range(len(usage.tree)):
        family = np.flatnonzero(usage.tree.parent == parent)
        lent, left = int(lends[family].sum()), int(spare[family].sum())
        assert all(abs(int(lends[at]) * left - lent * int(spare[at])) <= left for at in family)


@given(moments(), st.data())
def test_to_ask_for_more_changes_neither_what_a_group_earns_nor_what_it_pays(
    moment: Moment, data: st.DataObject
) -> None:
    who = data.draw(st.integers(0, len(moment.own) - 1))
    more = moment.queued.copy()
    more[who] += data.draw(st.integers(1, 40))
    before = moment.rates()
    afterwards = Moment(moment.case, moment.own, more, moment.offered, moment.lent).rates()
    assert before.lends.tolist() == afterwards.lends.tolist()
    assert before.surges[who] == afterwards.surges[who]


@given(moments(offers=False), st.data())
def test_to_hold_more_never_earns_more(moment: Moment, data: st.DataObject) -> None:
    assume(len(moment.own) > 1)
    who = data.draw(st.integers(1, len(moment.own) - 1))
    own = moment.own.copy()
    own[who] += data.draw(st.integers(1, 12))
    afterwards = Moment(moment.case, own, moment.queued, moment.offered, moment.lent).rates()
    assert afterwards.lends[who] <= moment.rates().lends[who]


@given(moments())
def test_who_stays_within_its_share_pays_nothing(moment: Moment) -> None:
    usage = moment.usage
    shares = fair_share(usage.tree, moment.own + moment.queued, usage.capacity)
    for at, surges in enumerate(moment.rates().surges.tolist()):
        above = max(0, int(usage.used[at] - shares.share[at])) if at else 0
        assert surges == above * PARTS


@given(cases(nested=True), st.data())
def test_where_nobody_asks_for_what_is_used_nobody_pays(case: Case, data: st.DataObject) -> None:
    size = len(case.tree.groups)
    own = np.array(data.draw(st.lists(st.integers(0, 4), min_size=size, max_size=size)), np.int64)
    tree = case.tree.of_class(GPU_CLASS)
    usage = Usage(tree, 4 * size, own)
    assume((usage.held() <= usage.bound).all())
    assert not standing_rates(usage, fair_share(tree, own, 4 * size)).surges.any()


def three(names: str = "abc") -> QuotaTree:
    return tree_of({"all": None, **dict.fromkeys(names, "all")}, {name: Quota(guaranteed=4) for name in names})


def told(tree: QuotaTree, rates: IntArray) -> dict[str, int]:
    compiled = tree.of_class(GPU_CLASS)
    return {each.name: int(rates[compiled.position(each.id)]) for each in tree.groups[1:]}


def rates_of(
    tree: QuotaTree,
    used: dict[str, int],
    capacity: int,
    *,
    offered: dict[str, int] | None = None,
    lent: tuple[tuple[str, str, int], ...] = (),
) -> StandingRates:
    compiled = tree.of_class(GPU_CLASS)

    def array(amounts: dict[str, int]) -> IntArray:
        return compiled.array({id_of(tree, name): gpus for name, gpus in amounts.items()})

    def position(name: str) -> int:
        return compiled.position(id_of(tree, name))

    usage = Usage(compiled, capacity, array(used))
    shares = fair_share(compiled, usage.own, capacity)
    pairs = [(position(lender), position(user), gpus) for lender, user, gpus in lent]
    return standing_rates(usage, shares, None if offered is None else array(offered), pairs)


def test_an_unused_guarantee_earns_only_while_others_need_it() -> None:
    tree = three()
    assert told(tree, rates_of(tree, {"a": 6, "b": 4}, 14).lends) == {"a": 0, "b": 0, "c": 0}, "nobody's two suffice"
    assert told(tree, rates_of(tree, {"a": 7, "b": 4}, 12).lends) == {"a": 0, "b": 0, "c": 3000}
    assert told(tree, rates_of(tree, {"a": 4, "b": 4}, 12).lends) == {"a": 0, "b": 0, "c": 0}


def test_what_one_family_lends_itself_is_lent_to_nobody_outside() -> None:
    tree = tree_of(
        {"all": None, "home": "all", "h1": "home", "h2": "home", "out": "all"},
        {"home": Quota(guaranteed=8), "h1": Quota(guaranteed=4), "h2": Quota(guaranteed=4)},
    )
    assert told(tree, rates_of(tree, {"h2": 8}, 8).lends) == {"home": 0, "h1": 4000, "h2": 0, "out": 0}
    lends = told(tree, rates_of(tree, {"h2": 6, "out": 2}, 8).lends)
    assert lends == {"home": 2000, "h1": 4000, "h2": 0, "out": 0}


def test_two_that_run_on_each_others_nodes_lend_nothing() -> None:
    tree = tree_of({"all": None, "a": "all", "b": "all"})
    swapped = (("a", "b", 8), ("b", "a", 8))
    found = rates_of(tree, {"a": 8, "b": 8}, 16, offered={"a": 8, "b": 8}, lent=swapped)
    assert told(tree, found.lends) == {"a": 0, "b": 0}
    found = rates_of(tree, {"a": 2, "b": 8}, 16, offered={"a": 8}, lent=(("a", "b", 8),))
    assert told(tree, found.lends) == {"a": 6000, "b": 0}


def test_what_is_offered_and_guaranteed_counts_once() -> None:
    tree = three("ab")
    found = rates_of(tree, {"b": 8}, 8, offered={"a": 4}, lent=(("a", "b", 4),))
    assert told(tree, found.lends) == {"a": 4000, "b": 0}
