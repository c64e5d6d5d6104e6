"""The production round under a virtual clock: events come in time, every instant that changes something is one round.

What runs is ``Federation``, ``decide`` and ``check_plan`` as production has them. A stopped run ends after its grace and
keeps what it has done, where it saves its state on the signal; its job waits again and needs the preemption's cost longer.
A run on a node that fails keeps what it had done at its last checkpoint. What lenders lend and take back is for
``Federation.lend`` and the round to work out; a run on a node when its lender takes it back ends the simulation.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from math import ceil
from time import perf_counter, process_time

from scheduler.cycle.check_plan import check_plan
from scheduler.cycle.decide import decide
from scheduler.cycle.facts import Earmarked, PreemptionRules, WaitingJob
from scheduler.cycle.federation import Federation
from scheduler.cycle.plan import Earmark, Plan, Start, Stop
from scheduler.cycle.snapshot import Snapshot
from scheduler.cycle.stay import NEVER_MS
from scheduler.model.errors import InvariantBroken
from scheduler.model.ids import JobId, RunId, ShapeId
from scheduler.simulator.cells import holding_its_cells
from scheduler.simulator.cluster import Cluster
from scheduler.simulator.failures import NodeEvent, node_events
from scheduler.simulator.gates import Gates
from scheduler.simulator.groups import put_groups
from scheduler.simulator.history import EndCause, History, Segment
from scheduler.simulator.knowledge import Knowledge
from scheduler.simulator.lenders import Lenders
from scheduler.simulator.lent_book import LentBook
from scheduler.simulator.live import CAUSE_OF, Live, RunFacts
from scheduler.simulator.nodes import Nodes
from scheduler.simulator.policy import Policy, RoundCost
from scheduler.simulator.standing import StandingBook
from scheduler.simulator.workload import SimJob, Workload

Decide = Callable[[Snapshot, int], Plan]

#: More rounds than this at one instant, each stopping what the one before started, are a livelock.
ROUNDS_AT_ONE_INSTANT_MAX = 64


class Driver:
    """One simulation of the production round. ``run`` may be called once; it uses up the workload's jobs."""

    def __init__(
        self,
        cluster: Cluster,
        workload: Workload,
        policy: Policy,
        *,
        seed: int = 0,
        end_ms: int | None = None,
        round_: Decide = decide,
        checked: bool = True,
    ) -> None:
        """``end_ms`` cuts the simulation off there; ``checked`` looks at every plan with ``check_plan``.

        Raises ConfigurationError for a policy that does not suit the cluster.
        """
        self._cluster, self._workload, self._policy = cluster, workload, policy
        self._events, self._lenders = node_events(policy, cluster), Lenders(policy, cluster, workload.groups)
        self._seed, self._end_ms = seed, self._lenders.over_ms(workload, end_ms)
        self._decide, self._checked, self._history = round_, checked, History(workload.jobs)
        rules = PreemptionRules(minimum_run_ms=policy.minimum_run_seconds * 1000)
        self._federation = Federation(preemption=rules)
        self._federation.set_decay(policy.decay)
        self._nodes = Nodes(cluster)
        orders = put_groups(self._federation, cluster, workload, policy)
        self._knowledge = Knowledge(policy.durations, policy.order, orders, policy.levels_per_doubling)
        self._facts, self._standings = RunFacts(policy, self._knowledge), StandingBook(policy, self._history)
        for site in cluster.sites:
            self._federation.put_site(site)
        for node in cluster.nodes:
            self._federation.put_node(node)
        self._live: dict[RunId, Live] = {}
        self._run_of: dict[JobId, RunId] = {}
        self._earmarks: dict[JobId, Earmark] = {}
        self._waiting: set[JobId] = set()
        self._ends: list[tuple[int, RunId]] = []
        self._levels: list[tuple[int, RunId]] = []
        self._arrived = self._told = self._last_run = self._busy_until_ms = self._shapes_put = 0
        self._put_shapes()
        self._interval_ms = round(policy.round_interval_seconds * 1000)
        self._gates = Gates(workload)
        self._lent = LentBook(self._federation, self._lenders, self._nodes, self._history, policy.grace_ms)

    def run(self) -> History:
        """Simulate to the end, and answer what happened."""
        history, began = self._history, perf_counter()
        history.seconds = {"snapshot": 0.0, "decide": 0.0, "check_plan": 0.0}
        self._federation.set_lending(self._lenders.offers, (), ())
        self._lent.lend(0)
        self._lent.see(holding_its_cells(self._federation.snapshot()))
        now_ms = -self._interval_ms
        while (next_ms := self._next_ms()) is not None:
            # Whatever the rounds' interval, what is taken back is taken back on time.
            now_ms = min(max(next_ms, now_ms + self._interval_ms, self._busy_until_ms), self._lent.changes_ms)
            if self._end_ms is not None and now_ms >= self._end_ms:
                break
            while (at_ms := self._event_ms()) is not None and at_ms <= now_ms:
                self._happen(at_ms)
            self._decide_now(now_ms)
            self._standings.look(self._federation)
        self._cut_off()
        history.cancelled = self._gates.cancelled
        self._lent.close()
        history.seconds["driver"] = perf_counter() - began - sum(history.seconds.values())
        return history

    def _next_ms(self) -> int | None:
        """When to look next. Arrivals and runs alone keep the simulation going, and who waits for nodes."""
        found = self._event_ms()
        if self._lent.changes_ms < NEVER_MS and (found is not None or self._waiting):
            return self._lent.changes_ms if found is None else min(found, self._lent.changes_ms)
        return found

    def _event_ms(self) -> int | None:
        """When the next job or node does something."""
        jobs, found = self._workload.jobs, None
        if self._workload.has(self._arrived):
            found = jobs[self._arrived].submit_ms
        if self._ends and (found is None or self._ends[0][0] < found):
            found = self._ends[0][0]
        gate_ms = self._gates.next_ms
        if gate_ms is not None:
            found = gate_ms if found is None else min(found, gate_ms)
        if self._told < len(self._events) and (found is not None or self._waiting):
            at_ms = self._events[self._told].at_ms
            found = at_ms if found is None else min(found, at_ms)
        return found

    def _happen(self, at_ms: int) -> None:
        """Everything of one instant: ends, nodes, deadlines, arrivals."""
        while self._ends and self._ends[0][0] == at_ms:
            live = self._live.get(heapq.heappop(self._ends)[1])
            if live is not None and live.end_ms == at_ms:
                self._end(live, at_ms)
        while self._told < len(self._events) and self._events[self._told].at_ms == at_ms:
            self._change_node(self._events[self._told])
            self._told += 1
        self._gates.pass_time(at_ms)
        jobs, first = self._workload.jobs, self._arrived
        while self._workload.has(self._arrived) and jobs[self._arrived].submit_ms == at_ms:
            self._arrived += 1
        if first < self._arrived:
            self._wait(jobs[first : self._arrived])

    def _wait(self, jobs: Sequence[SimJob], *, again: bool = False) -> None:
        self._queue(self._gates.wait(jobs), again=again)

    def _queue(self, jobs: Sequence[SimJob], *, again: bool = False) -> None:
        self._put_shapes()
        for job in jobs:
            self._knowledge.tell(job, again=again)
            self._waiting.add(job.id)
        self._federation.put_waiting([self._waiting_fact(job) for job in jobs])

    def _put_shapes(self) -> None:
        """Tell the federation of shapes that are new."""
        shapes = self._workload.shapes
        while self._shapes_put < len(shapes):
            self._shapes_put += 1
            self._federation.put_shape(ShapeId(self._shapes_put), shapes[ShapeId(self._shapes_put)])

    def _pass_gates(self, now_ms: int) -> None:
        """Have rounds see the jobs that wait for nothing else any more, and no others."""
        shown, hidden = self._gates.settle(now_ms)
        for job_id in hidden:
            if job_id not in self._run_of:
                self._waiting.discard(job_id)
                self._earmarks.pop(job_id, None)
                self._federation.drop_waiting(job_id)
        self._queue([self._workload.jobs[job_id - 1] for job_id in shown])

    def _waiting_fact(self, job: SimJob) -> WaitingJob:
        lends = self._lenders.is_any
        return WaitingJob(
            id=job.id,
            group=job.group,
            shape=job.shape,
            priority=self._knowledge.priority(job),
            submitted_ms=job.submit_ms,
            handicap_ms=job.order - job.submit_ms,
            bound_site=job.bound_site,
            walltime_ms=self._knowledge.walltime_ms(job),
            save_ms=self._policy.grace_ms if lends and job.checkpoints else None,
        )

    def _end(self, live: Live, at_ms: int, lost_ms: int = 0) -> None:
        """A run is gone. ``lost_ms`` of what it did are not in any checkpoint."""
        job, history = live.job, self._history
        del self._live[live.run]
        del self._run_of[job.id]
        self._leave_record(live, at_ms)
        self._nodes.give_back(live.gang)
        finished = live.cause is EndCause.FINISHED
        done_ms = live.done_ms(at_ms - live.start_ms)
        if not job.checkpoints and not self._policy.free_preemption:
            lost_ms = at_ms - live.start_ms
        cost_ms = 0 if finished else live.done_ms(lost_ms + self._policy.preemption_cost_ms)
        history.segments.append(
            Segment(job, live.site, live.start_ms, at_ms, live.gang, live.cause, live.preemptor, cost_ms)
        )
        job.ran(min(done_ms, job.left_ms), cost_ms)
        if finished:
            if self._earmarks.pop(job.id, None) is not None:  # it was to be moved
                self._federation.drop_waiting(job.id)
            history.ends_ms[job.id - 1] = at_ms
            self._knowledge.ended(job)
            self._gates.finished(job.id, at_ms)
            return
        job.stops += 1
        self._gates.stopped(job.id)
        if job.id not in self._earmarks:
            self._wait((job,), again=True)

    def _leave_record(self, live: Live, at_ms: int) -> None:
        """What a run used its group is charged for, unless it was destroyed for others."""
        made_way = live.cause not in (EndCause.FINISHED, EndCause.FAILED)
        if made_way and not live.job.checkpoints and not self._policy.free_preemption:
            self._federation.drop_run(live.run)
        else:
            self._federation.end_run(live.run, at_ms)

    def _change_node(self, event: NodeEvent) -> None:
        """A node fails, and everything on it, or is repaired."""
        self._nodes.change(event)
        self._federation.put_node(self._nodes.fact(event.node))
        self._lent.nodes_changed = True
        if not event.fails:
            return
        for earmark in list(self._earmarks.values()):
            if any(part[0] - 1 == event.node for part in earmark.gang):
                self._withdraw(earmark.job)
        for live in [each for each in self._live.values() if any(index == event.node for index, _ in each.gang)]:
            live.cause, live.preemptor = EndCause.FAILED, None
            ran_ms, interval_ms = event.at_ms - live.start_ms, self._policy.checkpoint_interval_seconds * 1000
            self._end(live, event.at_ms, ran_ms % interval_ms if interval_ms else 0)

    def _decide_now(self, now_ms: int) -> None:
        """Rounds until one stops nothing at once."""
        self._tell_levels(now_ms)
        changed = self._lent.lend(now_ms)
        for _ in range(ROUNDS_AT_ONE_INSTANT_MAX):
            if self._gates.is_any:
                self._pass_gates(now_ms)
            # With a grace, whatever has been lent anew has to be looked through for who is to be told when.
            looks = self._waiting or self._earmarks or changed or self._federation.has_elastic_runs
            if not looks and not (self._lenders.is_any and self._policy.grace_ms):
                return
            snapshot, plan, seconds = self._timed_round()
            if seconds:
                now_ms = self._busy_until_ms = now_ms + ceil(seconds * 1000)
            self._lent.note(snapshot, plan, now_ms)
            more = self._apply(plan, now_ms)
            if changed:
                self._lent.check_given_back(snapshot, self._live.values(), now_ms)
            # What starts where its grace is all that is left is told to go at once.
            if not more and not (self._lent.tells_now and (len(plan.starts) or plan.redeemed)):
                return
            self._lent.lend(now_ms)
        raise InvariantBroken(f"rounds at {now_ms} ms go on stopping what they started")

    def _timed_round(self) -> tuple[Snapshot, Plan, float]:
        """A round and the seconds charged for it. The processor's clock can be slow: it is read only where it counts."""
        cost = self._policy.round_cost
        worked = process_time() if cost is RoundCost.PROCESSOR else 0.0
        done = self._round()
        wall = self._history.round_seconds[-1] if cost is RoundCost.WALL else 0.0
        return *done, process_time() - worked if cost is RoundCost.PROCESSOR else wall

    def _round(self) -> tuple[Snapshot, Plan]:
        history, seconds = self._history, self._history.seconds
        began = perf_counter()
        snapshot = self._federation.snapshot()
        self._lent.see(snapshot)
        seen = perf_counter()
        plan = self._decide(snapshot, self._seed)
        decided = perf_counter()
        violations = check_plan(snapshot, plan) if self._checked else ()
        checked = perf_counter()
        if violations:
            raise InvariantBroken(f"a plan breaks {len(violations)} laws, first {violations[0]}")
        seconds["snapshot"] += seen - began
        seconds["decide"] += decided - seen
        seconds["check_plan"] += checked - decided
        history.round_seconds.append(checked - began)
        history.rounds += 1
        self._standings.compare(snapshot, plan, lambda other: self._decide(other, self._seed))
        return snapshot, plan

    def _apply(self, plan: Plan, now_ms: int) -> bool:
        """Do what the plan says; answer whether a run ended at once, so that there is more to hand out."""
        ended = False
        for job_id in plan.withdrawn:
            self._withdraw(job_id)
        for earmark in chain(plan.earmarks, plan.moves, plan.sizes):
            self._earmark(earmark)
        for stop in plan.stops:
            ended |= self._stop(stop, now_ms)
        for start in chain(plan.redeemed, plan.starts):
            self._earmarks.pop(start.job, None)
            self._start(start, now_ms)
        return ended

    def _stop(self, stop: Stop, now_ms: int) -> bool:
        live = self._live.get(stop.run)
        if live is None or live.stopping or live.end_ms <= now_ms:
            return False  # the last of these where the round itself took its time
        grace_ms = 0 if self._policy.free_preemption else stop.grace_ms
        live.stopping = True
        self._leave(live.run, now_ms + grace_ms)
        if grace_ms and now_ms + grace_ms >= live.end_ms:
            return False  # it finishes before
        live.cause = CAUSE_OF[stop.cause]
        live.preemptor = None if stop.preemptor is None else self._workload.jobs[stop.preemptor - 1]
        live.end_ms = now_ms + grace_ms
        if grace_ms:
            heapq.heappush(self._ends, (live.end_ms, live.run))
            return False
        self._end(live, now_ms)
        return True

    def _leave(self, run: RunId, gone_ms: int) -> None:
        fact = self._federation.live_runs[run]
        end_ms = gone_ms if fact.expected_end_ms is None else min(gone_ms, fact.expected_end_ms)
        self._federation.put_run(replace(fact, leaving=True, expected_end_ms=end_ms))

    def _start(self, start: Start, now_ms: int) -> None:
        self._last_run += 1
        run, job = RunId(self._last_run), self._workload.jobs[start.job - 1]
        self._federation.drop_waiting(job.id)
        self._waiting.discard(job.id)
        self._gates.started(job.id, now_ms)
        shape, workers_of = self._workload.shapes[start.shape], [(node, workers) for node, _, _, workers in start.gang]
        pool, speed = (start.site, start.gpu_class), self._policy.speed_of(start.gpu_class, shape.gpu_classes)
        self._federation.put_run(
            self._facts.of(run, job, shape, pool, tuple(workers_of), now_ms, self._waiting_fact(job), speed)
        )
        gang = tuple([(node - 1, workers * shape.gpus_per_worker) for node, workers in workers_of])
        self._nodes.take(gang)
        live = Live.begin(run, job, start.site, now_ms, gang, speed)
        self._live[run] = live
        self._run_of[job.id] = run
        heapq.heappush(self._ends, (live.end_ms, run))
        if shape.workers_max is not None and self._policy.minimum_run_seconds:  # from then on it may grow
            heapq.heappush(self._ends, (now_ms + self._policy.minimum_run_seconds * 1000, run))
        self._expect_level(live, now_ms)

    def _expect_level(self, live: Live, now_ms: int) -> None:
        """Know when to look at a run's level again."""
        holds_ms = self._knowledge.level_holds_ms(live.job, live.done_ms(now_ms - live.start_ms))
        if holds_ms is not None and now_ms + holds_ms < live.end_ms:
            heapq.heappush(self._levels, (now_ms + holds_ms, live.run))

    def _tell_levels(self, now_ms: int) -> None:
        """Have the scheduler know the priority that runs have by now."""
        while self._levels and self._levels[0][0] <= now_ms:
            live = self._live.get(heapq.heappop(self._levels)[1])
            if live is None or live.stopping:
                continue
            if self._knowledge.relevel(live.job, live.done_ms(now_ms - live.start_ms)):
                fact = self._federation.live_runs[live.run]
                self._federation.put_run(replace(fact, priority=self._knowledge.priority(live.job)))
            self._expect_level(live, now_ms)

    def _earmark(self, earmark: Earmark) -> None:
        """Hold nodes for a job beside the runs that have to go."""
        self._earmarks[earmark.job] = earmark
        self._gates.earmarked(earmark.job)
        self._federation.put_earmark(
            Earmarked(
                job=self._waiting_fact(self._workload.jobs[earmark.job - 1]),
                site=earmark.site,
                gpu_class=earmark.gpu_class,
                gang=tuple([(node, workers) for node, _, _, workers in earmark.gang]),
            )
        )

    def _withdraw(self, job_id: JobId) -> None:
        del self._earmarks[job_id]
        if job_id in self._run_of:
            self._federation.drop_waiting(job_id)
        else:
            self._wait((self._workload.jobs[job_id - 1],), again=True)

    def _cut_off(self) -> None:
        """Close what still runs when the simulation is cut off."""
        for live in self._live.values():
            end_ms = max(self._end_ms or live.start_ms, live.start_ms)
            self._history.segments.append(
                Segment(live.job, live.site, live.start_ms, end_ms, live.gang, EndCause.END_OF_TRACE)
            )
