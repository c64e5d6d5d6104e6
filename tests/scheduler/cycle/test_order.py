"""Whose turn it is, and what everybody has in the end: the laws of guarantees, shares, standing and past use, added up by hand.

Nothing here calls ``quota.order``, ``quota.fair_tree`` or the compiled turns: a rule that is wrong in all would be seen.
"""

from __future__ import annotations

from fractions import Fraction

from federations import OPEN_SITE, TREE, WORKING, Facts, build, contended, node_of, plain_shape
from hypothesis import event, given

from quota.admission import Usage, available
from quota.effective import effective_guarantees
from quota.fair_share_oracle import fair_share_oracle
from quota.tree import Quota
from scheduler.cycle.decide import decide
from scheduler.cycle.facts import WaitingJob
from scheduler.cycle.oracle import decide_slowly
from scheduler.cycle.plan import Start
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.ids import GroupId, JobId, ShapeId

PARENT = dict(TREE)
#: Groups by the names on their paths, which break ties.
NAMES = {group: number for number, group in enumerate((1, 2, 4, 5, 3, 6))}


class Moment:
    """A federation of ``contended`` between two starts of one round."""

    def __init__(self, drawn: Facts, snapshot: Snapshot) -> None:
        self.capacity = sum(node.gpus for node in drawn.nodes)
        self.tree = snapshot.tree.of_class("h100")
        self.own = dict.fromkeys(map(GroupId, WORKING), 0)
        for run in drawn.runs:
            self.own[run.group] += run.gpus
        self.waiting = {job.id: job for job in drawn.jobs}
        demand = {group: used + self.asked(group) for group, used in self.own.items()}
        self.share = fair_share_oracle(snapshot.tree, "h100", dict(demand), self.capacity).own
        effective = effective_guarantees(self.tree, self.capacity).effective
        past = snapshot.past_use.own("h100")
        self.past = {group: 0 if past is None else int(past[self.tree.position(group)]) for group, _ in TREE}
        kept = snapshot.standing.own("h100")
        self.standing = {group: 0 if kept is None else int(kept[self.tree.position(group)]) for group, _ in TREE}
        self.weight = {group: snapshot.tree.quota(group, "h100").weight for group, _ in TREE}
        self.guaranteed = {group: int(effective[self.tree.position(group)]) for group, _ in TREE}

    def asked(self, group: int) -> int:
        """GPUs that wait; a job of shape ``n`` asks for n."""
        return sum(job.shape for job in self.waiting.values() if job.group == group)

    def used(self, group: int) -> int:
        """GPUs of a subtree."""
        return self.own.get(GroupId(group), 0) + sum(self.used(child) for child, parent in TREE if parent == group)

    def apply(self, start: Start) -> None:
        """A job runs."""
        self.own[start.group] += self.waiting.pop(start.job).shape

    def used_before(self, group: int) -> int:
        """Past use of a subtree."""
        return self.past[group] + sum(self.used_before(child) for child, parent in TREE if parent == group)

    def unfairness(self, group: int) -> Fraction:
        """Its part of what its family used before, the parent's own work included, over its part of the weights."""
        parent = PARENT[group]
        assert parent is not None
        weights = 1 + sum(self.weight[each] for each, above in TREE if above == parent)
        used = self.used_before(group)
        return Fraction(used * weights, self.used_before(parent) * self.weight[group]) if used else Fraction(0)

    def turn(self, group: int) -> tuple[object, ...]:
        """Below the own guarantee first, then below one above; below the share before all others, among whom standing decides,
        that of the group above first; then use over share, without a share last; then whose group above, and then who itself,
        had the least for its weight; by name."""
        short = [each for each in (group, PARENT[group]) if each and self.used(each) < self.guaranteed[each]]
        rank = 0 if group in short else 1 if short else 2
        own, share = self.own[GroupId(group)], self.share[group]
        above = PARENT[group]
        assert above is not None
        past = (self.unfairness(above), self.unfairness(group))
        surge = (-self.standing[above], -self.standing[group]) if own >= share else ()
        return rank, surge, share == 0, Fraction(own, share) if share else Fraction(0), own, past, NAMES[group]

    def startable(self) -> list[tuple[tuple[object, ...], JobId]]:
        """(turn, job) of every job that quota and node leave room for."""
        usage = Usage(self.tree, self.capacity, self.tree.array({int(group): gpus for group, gpus in self.own.items()}))
        room = {group: min(available(usage, group), self.capacity - self.used(1)) for group in WORKING}
        return [
            ((*self.turn(job.group), -job.priority, job.submitted_ms + job.handicap_ms, job.id), job.id)
            for job in self.waiting.values()
            if job.shape <= room[job.group]
        ]


@given(contended())
def test_the_fast_round_starts_what_the_slow_one_does_where_all_want_the_same_gpus(drawn: Facts) -> None:
    snapshot = build(drawn).snapshot()
    assert decide(snapshot, 0).starts == decide_slowly(snapshot)


@given(contended() | contended(blocked=True))
def test_every_start_is_of_the_job_whose_turn_it_is_and_nothing_that_could_start_is_left(drawn: Facts) -> None:
    snapshot = build(drawn).snapshot()
    moment = Moment(drawn, snapshot)
    for start in decide(snapshot, 0).starts:
        assert start.job == min(moment.startable())[1]
        moment.apply(start)
    assert moment.startable() == []


@given(contended())
def test_no_group_starts_beyond_its_guarantee_while_a_job_that_could_start_is_below_its_own(drawn: Facts) -> None:
    snapshot = build(drawn).snapshot()
    moment = Moment(drawn, snapshot)
    for start in decide(snapshot, 0).starts:
        could = {moment.waiting[job].group for _, job in moment.startable()}
        below = {group for group in could if moment.used(group) < moment.guaranteed[group]}
        event(f"{len(below)} groups below their guarantees")
        assert not below or start.group in below
        moment.apply(start)


@given(contended(gpus_a_job=(1,), runs_max=0))
def test_one_gpu_at_a_time_every_group_ends_with_its_fair_share_and_no_less_than_its_guarantee(drawn: Facts) -> None:
    snapshot = build(drawn).snapshot()
    moment = Moment(drawn, snapshot)
    asked = {group: moment.asked(group) for group in WORKING}
    for start in decide(snapshot, 0).starts:
        moment.apply(start)
    for group in WORKING:
        assert moment.own[GroupId(group)] >= max(moment.share[group], min(asked[group], moment.guaranteed[group]))
    # Of a guarantee that is scaled down less is held back than its share counts on, so that others may have more.
    whole = all(moment.guaranteed[group] == drawn.quotas[GroupId(group), "h100"].guaranteed for group, up in TREE if up)
    event(f"guarantees are whole: {whole}")
    if whole:
        assert {group: moment.own[GroupId(group)] for group in WORKING} == {
            each: moment.share[each] for each in WORKING
        }


def test_a_group_whose_share_is_nothing_comes_after_all_that_have_one_whatever_its_name() -> None:
    quotas = {(GroupId(5), "h100"): Quota(weight=5)}
    jobs = tuple(
        WaitingJob(id=JobId(number), group=GroupId(group), shape=ShapeId(1), priority=0, submitted_ms=0)
        for number, group in enumerate((4, 4, 5, 5), start=1)
    )
    shapes = {ShapeId(1): plain_shape(1)}
    snapshot = build(Facts(quotas, (OPEN_SITE,), (node_of(1, 2),), shapes, jobs)).snapshot()
    assert [start.group for start in decide(snapshot, 0).starts] == [5, 5]
