"""Other systems' golden cases, as far as they speak of shares and quotas. One level ones of KAI and Armada and
Kueue's third story stand in ``test_fair_share``, HTCondor's shrinking pool in ``test_effective``, its decay in
``test_decay``.

Where Dure differs, and by which law:

* Kueue ranks by the largest borrowed part of what is lendable (nominal 5, use 7, lendable 10: 200); Dure by use
  over share (law 3). Both put nobody who stays within the guarantee behind one who borrows.
* Kueue, a=3 b=5 of 9, a asks for 2 more: nobody is evicted, since the imbalance would change sides. Law 3 has
  one division, 5 to 4 with the tie by name; b gives up one, and asking again changes nothing.
* Kueue, b{2, 2.5} c{2, 2.5} and a asks for 3.5: there are no parts of GPUs (law 3).
* Armada's uncapped share of A, .380833 where A wants 1 %, B 40 %, C all: it deals spare capacity out in rounds.
  Law 3 gives A a third, were it to ask for everything. The other uncapped shares agree, below.
* KAI's weight 0, which means "no surplus": a weight is positive (law 3), a borrowing limit of 0 says it.
* KAI deals surplus out by the queue's priority first: priority orders inside a group alone (laws 3 and 4).
* KAI rounds to whole GPUs by largest remainder, with which more GPUs may mean a smaller share (law 11).
* YuniKorn, limit 1000 below a guarantee of 1200: only 300 of 1500 in use may be taken. Such a limit is refused
  when it is set (law 2: what is guaranteed can be had).
* Slurm's uD2, .238095 by floating point: law 9 wants exact ratios, which give .333333 (``test_fair_tree``, whole).
* Slurm's shares of 0 and ``Fairshare=parent``: a weight is positive and a group's own (law 3), no group is passed over.
* Slurm's weights of CPUs and memory: quotas count GPUs.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from quota_trees import GPU_CLASS, id_of, tree_of

from quota.changes import check_quota
from quota.fair_share import fair_share
from quota.refusal import RefusalCode
from quota.tree import Quota

ENDLESS = 10**6


def shares(
    parents: Mapping[str, str | None], quotas: Mapping[str, Quota], demand: Mapping[str, int], capacity: int
) -> dict[str, int]:
    tree = tree_of(parents, quotas)
    compiled = tree.of_class(GPU_CLASS)
    found = fair_share(compiled, compiled.array({id_of(tree, name): gpus for name, gpus in demand.items()}), capacity)
    return {name: found.of(id_of(tree, name)) for name in demand}


@pytest.mark.parametrize(
    ("demand", "expected"),
    [
        pytest.param({"hep": 100, "lep": 0}, {"hep": 20, "lep": 0}, id="hep takes what lep leaves"),
        pytest.param({"hep": 0, "lep": 100}, {"hep": 0, "lep": 20}, id="lep takes what hep leaves"),
        pytest.param({"hep": 100, "lep": 100}, {"hep": 15, "lep": 5}, id="both have their quotas"),
    ],
)
def test_htcondor_surplus_is_accepted_below_physics_and_not_by_it(
    demand: dict[str, int], expected: dict[str, int]
) -> None:
    parents = {"pool": None, "physics": "pool", "chemistry": "pool", "hep": "physics", "lep": "physics"}
    quotas = {
        "physics": Quota(guaranteed=20, borrowing_limit=0),
        "chemistry": Quota(guaranteed=10),
        "hep": Quota(guaranteed=15),
        "lep": Quota(guaranteed=5),
    }
    assert shares(parents, quotas, {**demand, "chemistry": 0}, 30) == {**expected, "chemistry": 0}


def test_kai_queue_without_over_quota_weight_keeps_what_it_deserves() -> None:
    parents = {"cluster": None, "a": "cluster", "b": "cluster"}
    quotas = {"a": Quota(guaranteed=3, borrowing_limit=0)}
    assert shares(parents, quotas, {"a": 5, "b": 0}, 5) == {"a": 3, "b": 0}


@pytest.mark.parametrize(
    ("weights", "demand", "who", "uncapped"),
    [
        pytest.param((1, 1, 1), (1, 40, 1000), "b", 50, id="case 1, b: 49.5"),
        pytest.param((1, 1, 1), (1, 40, 1000), "c", 59, id="case 1, c"),
        pytest.param((1, 3, 1), (1000, 1, 0), "a", 99, id="case 2, a"),
        pytest.param((1, 3, 1), (1000, 1, 0), "b", 75, id="case 2, b"),
        pytest.param((1, 1, 1), (1, 1, 0), "a", 99, id="case 3, a"),
        pytest.param((1, 1, 1), (1, 1000, 0), "a", 50, id="case 4, a"),
        pytest.param((1, 1, 1), (1, 1000, 0), "b", 99, id="case 4, b"),
    ],
)
def test_armada_uncapped_share_is_the_share_of_one_that_asks_for_everything(
    weights: tuple[int, ...], demand: tuple[int, ...], who: str, uncapped: int
) -> None:
    parents = {"pool": None, "a": "pool", "b": "pool", "c": "pool"}
    quotas = {name: Quota(weight=weight) for name, weight in zip("abc", weights, strict=True)}
    asked = dict(zip("abc", demand, strict=True))
    assert shares(parents, quotas, {**asked, who: ENDLESS}, 100)[who] == uncapped


@pytest.mark.parametrize(
    ("used", "asked", "gives_up"),
    [
        pytest.param({"a": 3, "b": 5, "c": 1}, {"c": 1}, {"b": 1}, id="reclaim: c asks for 1, b gives it"),
        pytest.param({"a": 3, "b": 5, "c": 1}, {"a": 1}, {"b": 1}, id="sharing: a asks for 1, b gives it"),
        pytest.param({"a": 3, "b": 3, "c": 3}, {"c": 1}, {}, id="all have their guarantee: nobody gives"),
        pytest.param({"a": 0, "b": 9, "c": 0}, {"a": 2}, {"b": 2}, id="b has everything, a asks for 2"),
    ],
)
def test_kueue_fair_preemption_takes_from_who_is_above_its_share(
    used: dict[str, int], asked: dict[str, int], gives_up: dict[str, int]
) -> None:
    parents = {"cohort": None, "a": "cohort", "b": "cohort", "c": "cohort"}
    quotas = {name: Quota(guaranteed=3) for name in "abc"}
    found = shares(parents, quotas, {name: used[name] + asked.get(name, 0) for name in used}, 9)
    assert {name: used[name] - found[name] for name in used if found[name] < used[name]} == gives_up


def test_kueue_gang_of_five_beside_seven_is_more_than_the_share_of_its_group() -> None:
    parents = {"cohort": None, "a": "cohort", "b": "cohort", "c": "cohort"}
    quotas = {name: Quota(guaranteed=3) for name in "abc"}
    assert shares(parents, quotas, {"a": 2 + 5, "b": 7, "c": 0}, 9)["a"] < 2 + 5


@pytest.mark.parametrize(("limit", "guaranteed", "above"), [(1000, 0, 500), (1000, 900, 500)])
def test_yunikorn_lowered_limit_leaves_the_rest_above_the_share(limit: int, guaranteed: int, above: int) -> None:
    quotas = {"a": Quota(guaranteed=guaranteed, limit=limit)}
    found = shares({"root": None, "a": "root"}, quotas, {"a": 1500}, 10_000)
    assert 1500 - found["a"] == above


def test_yunikorn_limit_below_the_guarantee_is_refused() -> None:
    tree = tree_of({"root": None, "a": "root"})
    refusal = check_quota(tree, id_of(tree, "a"), GPU_CLASS, Quota(guaranteed=1200, limit=1000))
    assert refusal is not None
    assert refusal.code is RefusalCode.LIMIT_BELOW_GUARANTEED
