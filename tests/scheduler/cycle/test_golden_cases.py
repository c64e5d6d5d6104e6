"""Other systems' golden cases that take a whole round: who is evicted, and that nobody is again afterwards.

Those that speak of shares and quotas alone stand in ``tests/quota/test_peer_cases.py``, with the list of where Dure differs.
Of Kueue's fair preemption it differs in one: a=3 b=5 of 9 and a asks for 2 more, where Kueue evicts nobody since the
imbalance would change sides. Law 3 has one division, 5 to 4 with the tie by name; b gives up one and nothing comes back.
"""

from __future__ import annotations

from collections import Counter

import pytest
from peer_scene import Scene

from quota.tree import Quota

COHORT = {name: Quota(guaranteed=3) for name in "abc"}


@pytest.mark.parametrize(
    ("running", "incoming", "evicted"),
    [
        pytest.param({"a": 3, "b": 5, "c": 1}, ("c", 1), {"b": 1}, id="c reclaims its own"),
        pytest.param({"a": 3, "b": 5, "c": 1}, ("a", 1), {"b": 1}, id="a has its fair share"),
        pytest.param({"a": 3, "b": 3, "c": 3}, ("c", 1), {}, id="all have their guarantee"),
        pytest.param({"b": 9}, ("a", 2), {"b": 2}, id="b has everything"),
        pytest.param({"a": 2, "b": 7}, ("a", 5), {}, id="five more is above the share of a"),
        pytest.param({"a": 3, "b": 5}, ("a", 2), {"b": 1}, id="Kueue: none; law 3 has one division"),
    ],
)
def test_kueue_fair_preemption(running: dict[str, int], incoming: tuple[str, int], evicted: dict[str, int]) -> None:
    scene = Scene([9], COHORT)
    for name, count in running.items():
        scene.run(name, name, count=count)
    scene.wait("incoming", incoming[0], incoming[1])
    scene.settle()
    assert scene.evicted == Counter(evicted)
    assert scene.running("incoming") == bool(evicted)


def test_kueue_fair_preemption_is_not_undone_by_the_one_that_lost() -> None:
    """Kueue's b{2, 2.5} c{2, 2.5} and a asks for 3.5, in whole GPUs: of 9, a asks for its 3."""
    scene = Scene([9], COHORT)
    for group in "bc":
        scene.run(f"{group}-2", group, 2)
    scene.run("b-3", "b", 3)
    scene.run("c-2", "c", 2)
    scene.wait("a-3", "a", 3)
    scene.settle()
    assert scene.running("a-3") == 1
    before = scene.evicted.copy()
    scene.wait("b-again", "b", 2)
    scene.settle()
    assert scene.evicted == before


def test_yunikorn_a_lowered_limit_lets_what_runs_go_on_and_starts_nothing_more() -> None:
    """YuniKorn preempts what is above a lowered limit; law 4 has no preemption that starts nothing, so that ends replace it."""
    scene = Scene([8], {"a": Quota(limit=2), "b": Quota(guaranteed=3)})
    scene.run("above", "a", count=6)
    scene.wait("more", "a", count=2)
    scene.settle()
    assert (scene.held("a"), scene.evicted) == (6, Counter())
    scene.wait("own", "b", count=3)
    scene.settle()
    assert (scene.held("a"), scene.held("b"), scene.evicted) == (5, 3, Counter({"above": 1}))


def test_kueue_story_3_everybody_backlogged_gets_what_weights_and_guarantees_say() -> None:
    """Its 300 lent GPUs among 1, 1, 3 and 2 teams, a tenth of them: 3, 3, 9 and 15."""
    scene = Scene(
        [30],
        {
            "c1": Quota(), "c1.a": Quota(weight=1), "c1.b": Quota(weight=1), "c1.c": Quota(weight=3), "c2": Quota(),
            "c2.a": Quota(weight=2),
        },
    )  # fmt: skip
    for group in ("c2.a", "c1.a", "c1.b", "c1.c"):
        scene.wait(group, group, count=30)
    scene.settle()
    assert [scene.held(group) for group in ("c1.a", "c1.b", "c1.c", "c2.a")] == [3, 3, 9, 15]
