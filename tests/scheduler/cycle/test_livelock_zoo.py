"""The livelocks and starvations that other systems were reported for, as scenes that Dure has to bring to rest.

Each scene is a real federation. ``Scene.settle`` applies whole rounds and, after each one, asks for another on otherwise
unchanged input, which may do nothing (law 4). Of the cases, one is not a matter of rounds: a link that comes back after its
jobs were queued again (MultiKueue KEP-693), which ``tests/scheduler/service/test_reconcile.py`` has by that name, and
``tests/faults`` and the agent's tests show with real processes (law 6).

Where Dure differs, and by which law:

* Volcano 3729 and 4535 speak of gangs that may run with fewer pods. A gang that is not elastic is all its workers here, so
  that one that stands in a guarantee's way goes as a whole (law 4: "a gang that straddles its group's guarantee counts as
  borrowed as a whole"). An elastic one gives what it can do without, as theirs are meant to. Each has a scene of either kind.
* Kueue 3779 lets a priority threshold decide between queues. Priority orders inside a group alone (law 4).
* Kueue looks at other queues' workloads before those of the preemptor's own. Here the least lost work decides (law 4).
* Volcano 5805 asks for a rule of its own for gangs that lost a node. The guarantee brings such a gang back (law 2); one that
  only borrowed waits for its turn like everybody.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from federations import OPEN_SITE
from peer_scene import Scene

from quota.tree import Quota
from scheduler.cycle.plan import StopCause
from scheduler.model.ids import SiteId
from scheduler.model.reason import ReasonCode
from scheduler.model.site import SiteState

EQUAL = Quota(guaranteed=4)
MINIMUM_RUN_MS = 60_000


def test_kueue_7101_a_gang_of_four_gets_its_half_and_one_of_three_more_never_flaps() -> None:
    scene = Scene([8], {"proj-1": EQUAL, "proj-2": EQUAL})
    scene.run("old", "proj-1", 2, count=4)
    for gpus in (6, 5):
        scene.wait(f"gang-{gpus}", "proj-2", gpus)
        scene.settle()
        assert (scene.held("proj-1"), scene.held("proj-2")) == (8, 0)
    scene.wait("gang-4", "proj-2", 4)
    scene.settle()
    assert (scene.held("proj-1"), scene.running("gang-4")) == (4, 1)
    scene.wait("gang-3", "proj-2", 3)
    scene.settle()
    assert (scene.held("proj-1"), scene.held("proj-2")) == (4, 4)
    assert scene.evicted == Counter({"old": 2})


def test_kueue_14543_a_claim_that_would_need_victims_of_both_kinds_is_dropped_whole() -> None:
    """With its own low runs the group would be above its share, so that nobody else's may go; its own alone are too few."""
    scene = Scene([8], {"a": EQUAL, "b": Quota(guaranteed=2)})
    scene.run("low", "a", count=2, priority=-100)
    scene.run("borrowed", "b", count=6)
    scene.wait("high", "a", 4, priority=100)
    scene.settle()
    assert scene.evicted == Counter()


def test_kueue_14543_a_claim_of_victims_of_both_kinds_is_not_undone_by_those_who_lost() -> None:
    scene = Scene([8], {"a": Quota(guaranteed=6), "b": Quota(guaranteed=2)})
    scene.run("low", "a", count=2, priority=-100)
    scene.run("borrowed", "b", count=6)
    scene.wait("high", "a", 4, priority=100)
    scene.settle()
    assert (scene.running("high"), scene.running("low"), scene.held("b")) == (1, 2, 2)
    # By least lost work two of each kind go for it; the two of its own group then take back what the other still borrows.
    assert scene.evicted == Counter({"borrowed": 4, "low": 2})


def test_kueue_3779_who_may_take_is_who_may_start_whatever_the_priority() -> None:
    scene = Scene([8], {"a": EQUAL, "b": EQUAL})
    scene.run("urgent", "a", count=8, priority=100)
    scene.wait("modest", "b", count=6, priority=-100)
    scene.settle()
    assert (scene.held("a"), scene.held("b")) == (4, 4)
    scene.wait("late", "a", count=4, priority=100)
    scene.settle()
    assert (scene.running("modest"), scene.evicted) == (4, Counter({"urgent": 4}))


def test_kueue_6577_a_guarantee_deep_in_the_tree_is_had_back_in_one_round() -> None:
    scene = Scene(
        [8],
        {
            "north": EQUAL, "north.lab": EQUAL, "north.lab.team": EQUAL, "north.idle": Quota(),
            "south": Quota(guaranteed=2), "south.team": Quota(guaranteed=2),
        },
    )  # fmt: skip
    scene.run("borrowed", "south.team", count=8)
    scene.wait("own", "north.lab.team", 4)
    _, plan = scene.decided()
    assert scene.names_of_stops(plan) == Counter({"borrowed": 4})
    scene.settle()
    assert (scene.running("own"), scene.held("south.team")) == (1, 4)


def test_kueue_5243_nobody_is_evicted_for_a_job_that_could_not_run_even_then() -> None:
    scene = Scene([8, 8, 8, 8], {"a": Quota(guaranteed=32)})
    for node in (1, 2, 3, 4):
        scene.run("high", "a", 6, on=[node], priority=100)
        scene.run("low", "a", 1, on=[node], priority=-100, count=2)
    scene.wait("whole-node", "a", 8, priority=100)
    scene.settle()
    assert (scene.running("whole-node"), scene.evicted) == (0, Counter())


def test_volcano_3729_two_groups_of_gangs_that_do_not_divide_the_cluster_stop_after_one_exchange() -> None:
    quota = Quota(guaranteed=5, limit=10)
    scene = Scene([11], {"a": quota, "b": quota})
    scene.run("first", "a", 5, count=2)
    scene.wait("second", "b", 5, count=2)
    scene.settle()
    assert (scene.held("a"), scene.held("b")) == (5, 5)
    assert scene.evicted == Counter({"first": 1})


def test_volcano_3729_elastic_gangs_share_the_cluster_with_fewer_workers_and_leave_it_so() -> None:
    quota = Quota(guaranteed=5, limit=10)
    scene = Scene([11], {"a": quota, "b": quota}, minimum_run_ms=MINIMUM_RUN_MS)
    scene.run("first", "a", on=[1] * 5, workers_min=2, count=2)
    scene.wait("second", "b", workers=2, workers_max=5, count=2)
    scene.settle()
    assert (scene.running("first"), scene.running("second")) == (2, 2)
    # Nobody is stopped to give others more than their least workers: two a gang for b, of which one GPU was free.
    assert (scene.held("a"), scene.held("b")) == (7, 4)
    assert (scene.evicted, scene.shrunk) == (Counter(), Counter({"first": 2}))


def test_volcano_4947_what_is_freed_is_held_for_who_asked_and_not_won_back_by_who_lost_it() -> None:
    scene = Scene([8], {"q1": Quota(guaranteed=3), "q2": Quota(guaranteed=5)})
    scene.run("q1-big", "q1", 4)
    scene.run("q2-small", "q2", 1)
    scene.wait("q2-big", "q2", 4)
    _, plan = scene.decided()
    assert (len(plan.earmarks), [stop.cause for stop in plan.stops]) == (1, [StopCause.RECLAIMED])
    scene.settle()
    assert (scene.held("q2"), scene.running("q1-big"), scene.evicted) == (5, 0, Counter({"q1-big": 1}))


def test_volcano_4535_a_borrowing_gang_goes_as_a_whole_and_is_told_why_it_waits() -> None:
    scene = Scene([12], {"lender": Quota(guaranteed=2), "borrower": Quota()})
    scene.run("gang", "borrower", 12)
    scene.wait("own", "lender", 1, count=2)
    scene.settle()
    assert (scene.running("own"), scene.running("gang"), scene.evicted) == (2, 0, Counter({"gang": 1}))
    _, plan = scene.decided()
    (verdict,) = plan.verdicts
    assert (verdict.waiting, verdict.reason.code) == (1, ReasonCode.WAITING_FOR_CAPACITY)
    assert (verdict.reason.numbers["asked"], verdict.reason.numbers["free"]) == (12, 10)


def test_volcano_4535_an_elastic_borrowing_gang_gives_back_two_workers_and_goes_on() -> None:
    scene = Scene([12], {"lender": Quota(guaranteed=2), "borrower": Quota()}, minimum_run_ms=MINIMUM_RUN_MS)
    scene.run("gang", "borrower", on=[1] * 12, workers_min=4)
    scene.wait("own", "lender", workers=2)
    scene.settle()
    assert (scene.running("own"), scene.running("gang"), scene.held("borrower")) == (1, 1, 10)
    assert (scene.evicted, scene.shrunk) == (Counter(), Counter({"gang": 1}))


def test_volcano_4535_an_elastic_gang_gives_to_one_job_after_the_other_and_is_never_below_its_least() -> None:
    scene = Scene([12], {"lender": Quota(guaranteed=3), "borrower": Quota()}, minimum_run_ms=MINIMUM_RUN_MS)
    scene.run("gang", "borrower", on=[1] * 12, workers_min=10)
    scene.wait("own", "lender", count=2)
    scene.settle()
    assert (scene.running("own"), scene.running("gang"), scene.shrunk) == (2, 1, Counter({"gang": 2}))
    scene.wait("one-more", "lender")
    scene.settle()
    assert (scene.running("one-more"), scene.running("gang"), scene.evicted) == (1, 0, Counter({"gang": 1}))


def test_volcano_5805_a_guaranteed_gang_that_lost_a_node_comes_back_before_who_took_what_it_left() -> None:
    scene = Scene([4, 4], {"gangs": Quota(guaranteed=8), "newcomer": Quota()})
    scene.run("gang", "gangs", 4, on=[1, 2])
    scene.wait("new", "newcomer", 4)
    scene.fail(2)
    scene.settle()
    assert (scene.running("gang"), scene.running("new")) == (0, 1)
    scene.repair(2)
    scene.settle()
    assert (scene.running("gang"), scene.running("new"), scene.evicted) == (1, 0, Counter({"new": 1}))


def test_kai_1750_guarantees_above_the_capacity_scale_down_in_proportion() -> None:
    scene = Scene([7], {"a": Quota(guaranteed=6), "b": EQUAL})
    scene.run("first", "b", count=7)
    scene.wait("more", "b", count=3)
    scene.wait("second", "a", count=9)
    scene.settle()
    assert (scene.held("a"), scene.held("b")) == (4, 3)


def test_kai_1934_a_user_below_the_fair_share_takes_up_to_it_where_nothing_is_guaranteed() -> None:
    scene = Scene([8], {"shared": Quota(guaranteed=8), "shared.kim": Quota(), "shared.lee": Quota()})
    scene.run("kim", "shared.kim", count=8)
    scene.wait("lee", "shared.lee", count=8)
    scene.settle()
    assert (scene.held("shared.kim"), scene.held("shared.lee")) == (4, 4)
    assert scene.evicted == Counter({"kim": 4})


def test_kueue_14477_as_many_equal_jobs_as_there_is_room_for_start_in_one_round() -> None:
    scene = Scene([8] * 67, {"a": Quota(guaranteed=536)})
    scene.wait("equal", "a", count=536)
    _, plan = scene.decided()
    assert len(plan.starts) == 536


def test_kueue_9715_ten_thousand_jobs_that_cannot_start_hold_up_none_behind_them() -> None:
    scene = Scene([8] * 10, {"a": Quota(guaranteed=80), "b": Quota()})
    scene.wait("impossible", "a", 16, count=10_000)
    scene.wait("small", "a", count=40)
    scene.wait("others", "b", count=1000)
    _, plan = scene.decided()
    assert len(plan.starts) == 80
    scene.settle()
    assert (scene.running("small"), scene.running("others"), scene.running("impossible")) == (40, 40, 0)
    assert sum(verdict.waiting for verdict in plan.verdicts) == 10_960
    assert len(plan.verdicts) == 2


def test_armada_4946_where_every_site_is_cordoned_jobs_wait_and_start_when_one_opens() -> None:
    scene = Scene([8], {"a": EQUAL})
    closed = replace(OPEN_SITE, id=SiteId(1), state=SiteState.CORDONED)
    scene.put_site(closed)
    scene.wait("patient", "a", 4)
    _, plan = scene.decided()
    (verdict,) = plan.verdicts
    assert verdict.counterfactual is not None and verdict.counterfactual.open_site
    scene.put_site(replace(closed, state=SiteState.ACTIVE))
    scene.settle()
    assert scene.running("patient") == 1


def test_kueue_8602_what_the_quota_allows_and_no_site_can_hold_takes_nothing_from_others_and_is_told_why() -> None:
    scene = Scene([4, 4], {"a": Quota(guaranteed=8), "b": Quota()}, sites=[1, 2])
    scene.wait("wide", "a", 4, workers=2)
    scene.wait("small", "b", count=8)
    scene.settle()
    assert (scene.running("wide"), scene.running("small"), scene.evicted) == (0, 8, Counter())
    _, plan = scene.decided()
    (verdict,) = plan.verdicts
    assert (verdict.waiting, verdict.reason.code) == (1, ReasonCode.WAITING_FOR_CAPACITY)
    assert [(each.site, each.code) for each in verdict.reason.per_site] == [
        ("site-1", ReasonCode.WAITING_FOR_CAPACITY),
        ("site-2", ReasonCode.WAITING_FOR_CAPACITY),
    ]
