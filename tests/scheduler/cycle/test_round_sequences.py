"""Rounds one after the other while a federation goes on: every one is lawful, and none stops what the one before it decided."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from example_count import examples
from federations import OPEN_SITE, Facts, build, group_facts, node_of, plain_shape, run_of
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from lendings import HOUR_MS, NOW_MS, SECTORS, offer_of
from pressed import GPU_CLASS, quota

from quota.tree import Quota
from scheduler.cycle.check_plan import check_plan
from scheduler.cycle.decide import decide
from scheduler.cycle.facts import Earmarked, LiveRun, PreemptionRules, WaitingJob
from scheduler.cycle.move import jobs_moved
from scheduler.cycle.plan import Plan, Start
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.ids import GroupId, JobId, NodeId, RunId, ShapeId, SiteId
from scheduler.model.offer import Offer
from scheduler.model.recall import Recall, Reservation
from scheduler.model.site import SiteState

SHAPES = {
    ShapeId(1): plain_shape(1),
    ShapeId(2): plain_shape(4),
    ShapeId(3): plain_shape(2, workers=2),
    ShapeId(4): plain_shape(4, workers=3),
    ShapeId(5): plain_shape(2, preemptible=False),
    ShapeId(6): plain_shape(1, workers=1, workers_max=4),
}
SITES = {number: replace(OPEN_SITE, id=SiteId(number), name=f"site-{number}") for number in (1, 2)}
NODES = {number: node_of(number, 4, site=1 if number < 4 else 2) for number in range(1, 6)}
GROUPS = tuple(SECTORS)
MINUTE_MS = 60_000
GRACE_MS = 30_000

numbers_of_nodes = st.sampled_from(sorted(NODES))
numbers_of_sites = st.sampled_from(sorted(SITES))
groups = st.sampled_from(GROUPS)


class Submission(NamedTuple):
    """Jobs that are alike."""

    group: GroupId
    shape: ShapeId
    count: int
    priority: int
    walltime_ms: int | None
    save_ms: int | None


submissions = st.builds(
    Submission,
    group=groups,
    shape=st.sampled_from(sorted(SHAPES)),
    count=st.integers(1, 3),
    priority=st.sampled_from((0, 0, 100, -100)),
    walltime_ms=st.sampled_from((None, 10 * MINUTE_MS, HOUR_MS, 3 * HOUR_MS)),
    save_ms=st.sampled_from((None, GRACE_MS)),
)


class Rounds(RuleBasedStateMachine):
    """A federation of two sites, and what is true outside of it: when it is, and which jobs wait again once their runs end."""

    def __init__(self) -> None:
        super().__init__()
        rules = PreemptionRules(minimum_run_ms=MINUTE_MS)
        self.federation = build(Facts({}, tuple(SITES.values()), tuple(NODES.values()), SHAPES, ()), rules)
        self.now_ms = NOW_MS
        self.quotas: dict[tuple[GroupId, str], Quota] = {}
        self.jobs: dict[JobId, WaitingJob] = {}
        self.returning: set[RunId] = set()
        self.offers: list[Offer] = []
        self.recalls: dict[int, Recall] = {}
        self.reservations: dict[int, Reservation] = {}
        self.runs = 0
        self.rule_by_quotas()

    def rule_by_quotas(self) -> None:
        """Tell the federation of its groups."""
        told = [replace(each, sector=SECTORS.get(each.id), trust_domain="one") for each in group_facts()]
        self.federation.set_groups(told, self.quotas)

    def lend(self) -> None:
        """Tell the federation what is lent, and what time it is."""
        taken = list(self.reservations.values())
        self.federation.set_lending(self.offers, list(self.recalls.values()), taken)
        self.federation.lend(self.now_ms)

    def live(self, *, leaving: bool) -> list[RunId]:
        """Runs that leave, or that go on."""
        return sorted(run.id for run in self.federation.live_runs.values() if run.leaving is leaving)

    @initialize(jobs=st.lists(submissions, min_size=3, max_size=8), quotas=st.dictionaries(groups, quota()))
    def begin(self, jobs: list[Submission], quotas: dict[GroupId, Quota]) -> None:
        """More than there is room for."""
        self.quotas = {(group, GPU_CLASS): each for group, each in quotas.items()}
        self.rule_by_quotas()
        for each in jobs:
            self.submit(each)

    @rule(job=submissions)
    def submit(self, job: Submission) -> None:
        """Equal jobs come."""
        for _ in range(job.count):
            new = WaitingJob(
                id=JobId(len(self.jobs) + 1), group=job.group, shape=job.shape, priority=job.priority,
                submitted_ms=self.now_ms, walltime_ms=job.walltime_ms, save_ms=job.save_ms,
            )  # fmt: skip
            self.jobs[new.id] = new
            self.federation.put_waiting([new])

    @precondition(lambda self: self.live(leaving=False))
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        """A run is over by itself."""
        self.end(data.draw(st.sampled_from(self.live(leaving=False))))

    @precondition(lambda self: self.live(leaving=False))
    @rule(data=st.data(), grace_ms=st.sampled_from((0, GRACE_MS)))
    def cancel(self, data: st.DataObject, grace_ms: int) -> None:
        """A run's owner has it stopped."""
        self.leave(data.draw(st.sampled_from(self.live(leaving=False))), grace_ms)

    @rule(number=numbers_of_nodes)
    def fail(self, number: int) -> None:
        """A node fails, and all that runs on it; a sick one is well again."""
        is_well = any(node.id == number and not node.healthy for node in self.federation.snapshot().nodes.values())
        self.federation.put_node(replace(NODES[number], healthy=is_well))
        for run in list(self.federation.live_runs.values()) if not is_well else ():
            if any(node == number for node, _ in run.gang):
                self.returning.add(run.id)
                self.end(run.id)

    @rule()
    def repair(self) -> None:
        """Every node is well."""
        for node in NODES.values():
            self.federation.put_node(node)

    @rule(number=numbers_of_sites, state=st.sampled_from((SiteState.ACTIVE, SiteState.CORDONED)), heard=st.booleans())
    def close_site(self, number: int, state: SiteState, heard: bool) -> None:
        """A site is cordoned, or silent."""
        self.federation.put_site(replace(SITES[number], state=state, reachable=heard))

    @rule()
    def open_sites(self) -> None:
        """Every site takes work."""
        for site in SITES.values():
            self.federation.put_site(site)

    @rule(group=st.sampled_from((GroupId(2), *GROUPS)), new=st.none() | quota())
    def change_quota(self, group: GroupId, new: Quota | None) -> None:
        """A group has another quota, or none."""
        self.quotas = {key: each for key, each in self.quotas.items() if key[0] != group}
        if new is not None:
            self.quotas[group, GPU_CLASS] = new
        self.rule_by_quotas()

    @rule(
        nodes=st.integers(1, 3),
        notice_seconds=st.sampled_from((None, 0, 3600)),
        hours=st.none() | st.integers(1, 4),
    )
    def open_offer(self, nodes: int, notice_seconds: int | None, hours: int | None) -> None:
        """The first site lends by offer from now on."""
        closes_ms = None if hours is None else self.now_ms + hours * HOUR_MS
        number = len(self.offers) + 1
        self.offers.append(offer_of(number, nodes=nodes, notice_seconds=notice_seconds, closes_ms=closes_ms))

    @rule(is_over=st.booleans())
    def close_offers(self, is_over: bool) -> None:
        """All offers close now; where there are none, a site lends all it has."""
        self.offers = [] if is_over else [replace(each, closes_ms=self.now_ms) for each in self.offers]

    @rule(number=numbers_of_nodes, minutes=st.integers(0, 90), hours=st.none() | st.integers(1, 3))
    def recall(self, number: int, minutes: int, hours: int | None) -> None:
        """A node's lender wants it back, or no more."""
        if self.recalls.pop(number, None) is not None:
            return
        by_ms = self.now_ms + minutes * MINUTE_MS
        self.recalls[number] = Recall(
            site=NODES[number].site_id, gpu_class=GPU_CLASS, nodes=1, by_ms=by_ms, asked_ms=self.now_ms,
            until_ms=None if hours is None else by_ms + hours * HOUR_MS, node_ids=frozenset({NodeId(number)}),
        )  # fmt: skip

    @rule(number=numbers_of_nodes, minutes=st.integers(0, 90), hours=st.integers(1, 3), group=st.none() | groups)
    def reserve(self, number: int, minutes: int, hours: int, group: GroupId | None) -> None:
        """A node is kept for maintenance or for a group, or no more."""
        if self.reservations.pop(number, None) is not None:
            return
        from_ms = self.now_ms + minutes * MINUTE_MS
        self.reservations[number] = Reservation(
            site=NODES[number].site_id, gpu_class=GPU_CLASS, from_ms=from_ms, to_ms=from_ms + hours * HOUR_MS,
            reason="cables", node_ids=frozenset({NodeId(number)}), group=group,
        )  # fmt: skip

    @rule(ms=st.sampled_from((1, GRACE_MS, MINUTE_MS, MINUTE_MS, 10 * MINUTE_MS, HOUR_MS)), in_time=st.booleans())
    def pass_time(self, ms: int, in_time: bool) -> None:
        """Time goes by; runs end in time, or are still there."""
        self.now_ms += ms
        for run in list(self.federation.live_runs.values()) if in_time else ():
            if run.expected_end_ms is not None and run.expected_end_ms <= self.now_ms:
                self.end(run.id)

    @invariant()
    def decide_twice(self) -> None:
        """A round, and another, which stops nobody, once what it says is done and nothing else has happened."""
        snapshot, plan = self.decided()
        self.apply(snapshot, plan)
        _, after = self.decided()
        assert after.stops == ()

    def decided(self) -> tuple[Snapshot, Plan]:
        """A round now, which breaks no law."""
        self.lend()
        snapshot = self.federation.snapshot()
        plan = decide(snapshot, 0)
        assert check_plan(snapshot, plan) == ()
        return snapshot, plan

    def apply(self, snapshot: Snapshot, plan: Plan) -> None:
        """What the committing side does with a plan."""
        live = {run.job for run in self.federation.live_runs.values()}
        for job in plan.withdrawn:
            if job in live:  # it was to go on elsewhere
                self.federation.drop_waiting(job)
            else:
                self.federation.put_waiting([self.jobs[job]])
        self.jobs |= jobs_moved(plan, self.federation.live_runs)
        for held in (*plan.earmarks, *plan.moves, *plan.sizes):
            gang = tuple((node, workers) for node, _, _, workers in held.gang)
            self.federation.put_earmark(
                Earmarked(job=self.jobs[held.job], site=held.site, gpu_class=held.gpu_class, gang=gang)
            )
        for stop in plan.stops:
            self.returning.add(stop.run)
            self.leave(stop.run, stop.grace_ms)
        for start in (*plan.redeemed, *plan.starts):
            self.start(snapshot, start)

    def start(self, snapshot: Snapshot, start: Start) -> None:
        """A job runs."""
        self.runs += 1
        job, shape = self.jobs[start.job], snapshot.shapes[start.shape]
        gang = tuple((node, workers) for node, _, _, workers in start.gang)
        run = run_of(self.runs, start.job, start.group, shape, start.site, start.gpu_class, gang)
        run = replace(
            run, started_ms=self.now_ms, preemptible=shape.preemptible, priority=job.priority, returns_as=job,
            checkpoints=job.save_ms is not None, grace_ms=job.save_ms or 0,
            expected_end_ms=None if job.walltime_ms is None else self.now_ms + job.walltime_ms,
        )  # fmt: skip
        self.federation.drop_waiting(start.job)
        self.federation.put_run(run.elastic_as(shape))

    def leave(self, run_id: RunId, grace_ms: int) -> None:
        """A run is told to go."""
        run = self.federation.live_runs[run_id]
        gone_ms, over_ms = self.now_ms + grace_ms, run.expected_end_ms
        if over_ms is not None and over_ms <= gone_ms:
            gone_ms = over_ms
            self.returning.discard(run_id)  # it is done by then
        self.federation.put_run(replace(run, leaving=True, expected_end_ms=gone_ms))

    def end(self, run_id: RunId) -> None:
        """A run is gone; its job waits again, or is over."""
        run: LiveRun = self.federation.live_runs[run_id]
        self.federation.end_run(run_id, self.now_ms)
        if run_id not in self.returning:
            self.federation.drop_waiting(run.job)
        elif not self.federation.is_earmarked(run.job):
            self.federation.put_waiting([self.jobs[run.job]])


TestRounds = Rounds.TestCase
TestRounds.settings = settings(max_examples=examples(60), stateful_step_count=30)
