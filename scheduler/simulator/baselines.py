"""Plain reference schedulers on the same cluster and jobs, without groups, quotas or preemption, for tables side by side.

``fifo`` starts the head or nobody. ``easy`` keeps the head's start where it would be without the others (Lifka 1995).
``sjf`` takes the shortest first and passes over what does not fit. ``conservative`` is in ``conservative``. Where nothing
is known of a job's run time, it counts as very long. They see the nodes that lenders lend as rounds do, but no terms: nothing
starts where it could not have its minimum run time, and what is still there when a node is taken back ends.
"""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from bisect import bisect_left, insort
from collections.abc import Collection
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from scheduler.cycle.stay import NEVER_MS
from scheduler.model.ids import JobId, NodeId, RunId, SiteId
from scheduler.simulator.cluster import Cluster
from scheduler.simulator.failures import NodeEvent, node_events
from scheduler.simulator.free_nodes import FreeNodes, IntArray, Place
from scheduler.simulator.gates import Gates
from scheduler.simulator.history import EndCause, History, NodeUse, Segment
from scheduler.simulator.knowledge import UNKNOWN_MS, Knowledge
from scheduler.simulator.lenders import Lenders
from scheduler.simulator.lent_nodes import LentNodes
from scheduler.simulator.live import RunFacts
from scheduler.simulator.nodes import Nodes
from scheduler.simulator.policy import Baseline, Order, Policy
from scheduler.simulator.queues import Queues, Verdicts
from scheduler.simulator.workload import SimJob, Workload


@dataclass(slots=True, eq=False)
class Running:
    """A job that runs: where, since when, until when in truth and as the scheduler expects."""

    job: SimJob
    site: SiteId
    place: Place
    start_ms: int
    end_ms: int
    expected_end_ms: int


class PlainScheduler(ABC):
    """The clock and the books of all baselines; a subclass says what starts now."""

    order = Order.FIFO

    def __init__(self, cluster: Cluster, workload: Workload, policy: Policy) -> None:
        """Raises ConfigurationError for a policy that does not suit the cluster."""
        self.cluster, self.workload, self.policy = cluster, workload, policy
        self.nodes = FreeNodes(cluster)
        self.knowledge = Knowledge(policy.durations, self.order, {})
        self.queues = Queues()
        self.running: dict[JobId, Running] = {}
        self.history = History(workload.jobs)
        self._events, self._books = node_events(policy, cluster), Nodes(cluster)
        self._lenders = Lenders(policy, cluster, workload.groups)
        self._lent, self._facts = LentNodes(cluster, self._lenders, self._books), RunFacts(policy, self.knowledge)
        self._nodes_changed, self._gates = False, Gates(workload)
        self._ends: list[tuple[int, JobId]] = []
        self._arrived = self._told = 0

    @abstractmethod
    def start_now(self, now_ms: int) -> None:
        """Start what may start at this instant."""

    def wake_ms(self) -> int | None:
        """When to look again though nothing happens."""
        return None

    def run(self, end_ms: int | None) -> History:
        """Simulate to the end or to ``end_ms``."""
        began = perf_counter()
        end_ms = self._lenders.over_ms(self.workload, end_ms)
        self._lend(0)
        while (now_ms := self._next_ms()) is not None and (end_ms is None or now_ms < end_ms):
            self._happen(now_ms)
            self._lend(now_ms)
            self._pass_gates(now_ms)
            if len(self.queues):
                deciding = perf_counter()
                self.start_now(now_ms)
                self.history.round_seconds.append(perf_counter() - deciding)
                self.history.rounds += 1
        for each in self.running.values():
            self._close(each, max(end_ms or 0, each.start_ms), EndCause.END_OF_TRACE)
        self.history.cancelled = self._gates.cancelled
        self.history.recalls = tuple(self._lenders.recalls)
        self.history.recalled_nodes = self._lenders.asked, self._lenders.granted
        self.history.seconds = {"decide": sum(self.history.round_seconds)}
        self.history.seconds["driver"] = perf_counter() - began - self.history.seconds["decide"]
        return self.history

    def _next_ms(self) -> int | None:
        jobs = self.workload.jobs
        times = [jobs[self._arrived].submit_ms] if self.workload.has(self._arrived) else []
        if self._ends:
            times.append(self._ends[0][0])
        if self._told < len(self._events) and (times or len(self.queues)):
            times.append(self._events[self._told].at_ms)
        if self._lent.changes_ms < NEVER_MS and (times or len(self.queues)):
            times.append(self._lent.changes_ms)
        wake_ms = self.wake_ms()
        times += [each for each in (wake_ms, self._gates.next_ms) if each is not None]
        return min(times, default=None)

    def _happen(self, at_ms: int) -> None:
        while self._ends and self._ends[0][0] == at_ms:
            running = self.running.get(heapq.heappop(self._ends)[1])
            if running is not None and running.end_ms == at_ms:
                self.end(running, at_ms, EndCause.FINISHED, 0)
        while self._told < len(self._events) and self._events[self._told].at_ms == at_ms:
            self._change_node(self._events[self._told])
            self._told += 1
        self._gates.pass_time(at_ms)
        jobs = self.workload.jobs
        while self.workload.has(self._arrived) and jobs[self._arrived].submit_ms == at_ms:
            self._wait(jobs[self._arrived])
            self._arrived += 1

    def _wait(self, job: SimJob) -> None:
        for each in self._gates.wait((job,)):
            self.wait(each)

    def _pass_gates(self, now_ms: int) -> None:
        if not self._gates.is_any:
            return
        shown, hidden = self._gates.settle(now_ms)
        for job_id in hidden:
            if job_id in self.queues:
                self.hide(self.workload.jobs[job_id - 1])
        for job_id in shown:
            self.wait(self.workload.jobs[job_id - 1])

    def wait(self, job: SimJob) -> None:
        """A job begins to wait, and for nothing but its start."""
        self.knowledge.tell(job)
        self.queues.add(job)

    def hide(self, job: SimJob) -> None:
        """A waiting job is not to be started."""
        self.queues.remove(job)

    def start(self, job: SimJob, site: SiteId, place: Place, now_ms: int) -> None:
        """Start a waiting job."""
        self._gates.started(job.id, now_ms)
        self.nodes.change(self.workload.shapes[job.shape], place, -1)
        self._books.take(self._gang(job, place))
        if self._lenders.is_any:
            shape, gang = self.workload.shapes[job.shape], tuple([(NodeId(index + 1), each) for index, each in place])
            pool = site, self.cluster.nodes[place[0][0]].gpu_class
            self._lent.put_run(self._facts.of(RunId(job.id), job, shape, pool, gang, now_ms))
        self.queues.remove(job)
        expected_ms = UNKNOWN_MS if job.expected_ms is None else job.expected_ms
        self.running[job.id] = Running(job, site, place, now_ms, now_ms + job.left_ms, now_ms + expected_ms)
        heapq.heappush(self._ends, (now_ms + job.left_ms, job.id))

    def end(self, running: Running, at_ms: int, cause: EndCause, cost_ms: int) -> None:
        """A run is over, and cost its job so much run time if it did not finish."""
        job = running.job
        del self.running[job.id]
        self.nodes.change(self.workload.shapes[job.shape], running.place, 1)
        self._books.give_back(self._gang(job, running.place))
        if self._lenders.is_any:
            self._lent.drop_run(RunId(job.id))
        self._close(running, at_ms, cause, cost_ms)
        job.ran(at_ms - running.start_ms, cost_ms)
        if cause is EndCause.FINISHED:
            self.history.ends_ms[job.id - 1] = at_ms
            self.knowledge.ended(job)
            self._gates.finished(job.id, at_ms)
        else:
            job.stops += 1
            self._gates.stopped(job.id)
            self._wait(job)

    def _close(self, running: Running, at_ms: int, cause: EndCause, cost_ms: int = 0) -> None:
        gang = self._gang(running.job, running.place)
        self.history.segments.append(
            Segment(running.job, running.site, running.start_ms, at_ms, gang, cause, None, cost_ms)
        )

    def _gang(self, job: SimJob, place: Place) -> tuple[NodeUse, ...]:
        each = self.workload.shapes[job.shape].gpus_per_worker
        return tuple([(index, workers * each) for index, workers in place])

    def _change_node(self, event: NodeEvent) -> None:
        """A node fails, and everything on it, or is repaired."""
        self._books.change(event)
        self._lent.change(event)
        self._nodes_changed = True
        interval_ms = self.policy.checkpoint_interval_seconds * 1000
        for each in self._on({event.node}) if event.fails else ():
            lost_ms = (event.at_ms - each.start_ms) % interval_ms if interval_ms else 0
            self.end(each, event.at_ms, EndCause.FAILED, lost_ms + self.policy.preemption_cost_ms)

    def _lend(self, now_ms: int) -> None:
        """End what is on nodes that are lent no more; nothing starts where it could not have its minimum run time."""
        if not self._lenders.is_any and not self._nodes_changed and self.history.capacity:
            return
        changed = self._nodes_changed or now_ms >= self._lent.changes_ms
        self._lent.work_out(now_ms)
        self._nodes_changed = False
        gone = set(np.flatnonzero(self._lent.until_ms <= now_ms).tolist())
        for each in self._on(gone) if changed else ():
            self.end(each, now_ms, EndCause.RECALLED, self.policy.preemption_cost_ms)
        self.nodes.open_where(self._lent.until_ms - now_ms >= max(self.policy.minimum_run_seconds * 1000, 1))
        capacity, devices = self.history.capacity, self._lent.devices
        if not capacity or capacity[-1][1] != devices:
            self.see_devices(now_ms, devices)

    def see_devices(self, now_ms: int, devices: int) -> None:
        """So many devices are lent from now on."""
        self.history.capacity.append((now_ms, devices))

    def _on(self, nodes: Collection[int]) -> list[Running]:
        """What runs on some nodes."""
        return [run for run in self.running.values() if any(index in nodes for index, _ in run.place)]


class Fifo(PlainScheduler):
    """The head, then the next head, until one does not fit."""

    def start_now(self, now_ms: int) -> None:
        """Start heads."""
        while (head := self.queues.head()) is not None:
            found = self.nodes.place(self.workload.shapes[head.shape], head.bound_site)
            if found is None:
                return
            self.start(head, *found, now_ms)


class ShortestFirst(PlainScheduler):
    """The shortest expected run time first; what does not fit is passed over."""

    order = Order.SHORTEST

    def start_now(self, now_ms: int) -> None:
        """Start what fits, the shortest first."""
        verdicts = Verdicts()
        for job in self.queues.walk(verdicts):
            found = self.nodes.place(self.workload.shapes[job.shape], job.bound_site)
            if found is None:
                verdicts.failed.add((job.shape, job.bound_site))
            else:
                self.start(job, *found, now_ms)


class Easy(Fifo):
    """FIFO, and behind the blocked head whatever does not put its start off: what ends before, or leaves it room then."""

    def __init__(self, cluster: Cluster, workload: Workload, policy: Policy) -> None:
        super().__init__(cluster, workload, policy)
        self._by_end: list[tuple[int, JobId]] = []

    def start_now(self, now_ms: int) -> None:
        """Start heads, then what fits beside the head's reservation."""
        super().start_now(now_ms)
        head = self.queues.head()
        if head is None:
            return
        shadow_ms, free_then = self._reservation(head)
        verdicts = Verdicts(failed={(head.shape, head.bound_site)})
        for job in self.queues.walk(verdicts):
            shape, line = self.workload.shapes[job.shape], (job.shape, job.bound_site)
            expected_ms = UNKNOWN_MS if job.expected_ms is None else job.expected_ms
            goes_on = free_then is not None and now_ms + expected_ms > shadow_ms
            if goes_on and line in verdicts.longest_ms:
                continue
            found = self.nodes.place(shape, job.bound_site)
            if found is None:
                verdicts.failed.add(line)
                continue
            if goes_on and free_then is not None:
                self.nodes.change(shape, found[1], -1, free_then)
                if self.nodes.place(self.workload.shapes[head.shape], head.bound_site, free_then) is None:
                    self.nodes.change(shape, found[1], 1, free_then)
                    verdicts.longest_ms[line] = shadow_ms - now_ms
                    continue
            self.start(job, *found, now_ms)

    def _reservation(self, head: SimJob) -> tuple[int, IntArray | None]:
        """When the head can start if runs end as expected, and what is free then; None if never as nodes stand."""
        shapes, running = self.workload.shapes, self.running
        runs = (running[job] for _, job in self._by_end)
        needed = self.nodes.fits_after(
            shapes[head.shape], head.bound_site, ((shapes[run.job.shape], run.place) for run in runs)
        )
        if needed is None:
            return 0, None
        free = self.nodes.free.copy()
        for _, job in self._by_end[:needed]:
            self.nodes.change(shapes[running[job].job.shape], running[job].place, 1, free)
        return self._by_end[needed - 1][0], free

    def start(self, job: SimJob, site: SiteId, place: Place, now_ms: int) -> None:
        """Start a waiting job."""
        super().start(job, site, place, now_ms)
        insort(self._by_end, (self.running[job.id].expected_end_ms, job.id))

    def end(self, running: Running, at_ms: int, cause: EndCause, cost_ms: int) -> None:
        """A run is over."""
        del self._by_end[bisect_left(self._by_end, (running.expected_end_ms, running.job.id))]
        super().end(running, at_ms, cause, cost_ms)


def run_baseline(cluster: Cluster, workload: Workload, policy: Policy, end_ms: int | None) -> History:
    """Simulate the policy's baseline."""
    from scheduler.simulator.conservative import Conservative

    kinds: dict[Baseline, type[PlainScheduler]] = {
        Baseline.FIFO: Fifo,
        Baseline.EASY: Easy,
        Baseline.CONSERVATIVE: Conservative,
        Baseline.SJF: ShortestFirst,
    }
    return kinds[policy.baseline](cluster, workload, policy).run(end_ms)
