"""What verdicts say would start a job, made true on a federation: by offers, and where groups have cells, too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from federations import run_of

from quota.tree import Quota
from scheduler.cycle.decide import decide
from scheduler.cycle.facts import LiveRun, WaitingJob
from scheduler.cycle.federation import Federation
from scheduler.cycle.node_pool import NodePool
from scheduler.cycle.plan import Alternative, AlternativeKind, Counterfactual, Plan, Verdict
from scheduler.cycle.snapshot import SitePool, Snapshot
from scheduler.cycle.stay import NEVER_MS
from scheduler.model.ids import GroupId, NodeId, RunId, ShapeId, SiteId
from scheduler.model.shape import Shape
from scheduler.model.site import Node, SiteState

FEDERATION = "group-1"


class Settled:
    """A federation after a plan's starts, in which nobody waits."""

    def __init__(self, federation: Federation, snapshot: Snapshot, plan: Plan) -> None:
        now_ms = snapshot.now_ms
        self._snapshot, self._plan, self._now_ms = snapshot, plan, now_ms
        self._jobs = {job.id: job for job in snapshot.table.jobs()}
        self._federation = federation.copy()
        for number, start in enumerate(plan.starts, 10_000):
            job, shape = self._jobs[start.job], snapshot.shapes[start.shape]
            self._federation.put_run(
                LiveRun(
                    id=RunId(number),
                    job=job.id,
                    group=job.group,
                    site=start.site,
                    gpu_class=start.gpu_class,
                    gpus_per_worker=shape.gpus_per_worker,
                    cpus_per_worker=shape.cpus_per_worker,
                    memory_mib_per_worker=shape.memory_mib_per_worker,
                    gang=tuple((node, workers) for node, _, _, workers in start.gang),
                    started_ms=now_ms,
                    preemptible=shape.preemptible,
                    priority=job.priority,
                    expected_end_ms=None if job.walltime_ms is None else now_ms + job.walltime_ms,
                    checkpoints=job.save_ms is not None,
                    data_class=shape.data_class,
                )
            )
        for waiting in self._jobs:
            self._federation.drop_waiting(waiting)
        self._federation.lend(now_ms)

    def head(self, verdict: Verdict) -> WaitingJob:
        """The first job of a class that the plan does not start."""
        started = {start.job for start in self._plan.starts}
        turns = next(each.turns for each in self._snapshot.waiting if each.key == verdict.key)
        return self._jobs[next(job for _, _, job in turns if job not in started)]

    def starts_with(self, verdict: Verdict, wanted: Counterfactual) -> bool:
        """Whether the head starts, alone in the queue, once ``wanted`` is true."""
        twin, head = self._federation.copy(), self.head(verdict)
        quotas = _raised(self._snapshot, wanted)
        twin.set_groups(list(self._snapshot.groups.values()), quotas)
        site = next(each for each in self._snapshot.sites.values() if each.name == wanted.site)
        if wanted.open_site:
            twin.put_site(replace(site, state=SiteState.ACTIVE, reachable=True))
        shape = self._snapshot.shapes[verdict.shape]
        places = [_node(number, site.id, wanted, wanted.gpus_per_node, shape) for number in range(wanted.nodes)]
        # The federation's bound is its capacity: it is higher with nodes that count, whoever has them.
        capacity = sum(by for path, by in wanted.raises if path == FEDERATION)
        counted = [_node(9_999, site.id, wanted, capacity, shape)] if capacity else []
        lends_by_offers = site.id in self._snapshot.told and bool(self._snapshot.told[site.id].offers)
        lent = (places if wanted.lent else []) + (counted if lends_by_offers else [])
        added = [each for each in (*places, *counted) if each not in lent]
        if wanted.walltime_seconds is not None:
            head = replace(head, walltime_ms=wanted.walltime_seconds * 1000)
        if wanted.preemptible:
            head = self._reshaped(twin, head, replace(shape, preemptible=True))
        return self._starts(twin, head, self._now_ms, lent, added)

    def starts_as(self, verdict: Verdict, other: Alternative) -> bool:
        """Whether the head starts, alone in the queue, as the alternative says."""
        twin, head = self._federation.copy(), self.head(verdict)
        shape = self._snapshot.shapes[verdict.shape]
        match other.kind:
            case AlternativeKind.FEWER_WORKERS:
                head = self._reshaped(twin, head, replace(shape, workers=other.workers))
            case AlternativeKind.OTHER_GPU_CLASS:
                head = self._reshaped(twin, head, replace(shape, gpu_classes=(other.gpu_class,)))
        return self._starts(twin, head, self._now_ms if other.at_ms is None else other.at_ms)

    def _reshaped(self, twin: Federation, head: WaitingJob, shape: Shape) -> WaitingJob:
        known = next((number for number, each in self._snapshot.shapes.items() if each == shape), None)
        number = ShapeId(max(self._snapshot.shapes) + 1) if known is None else known
        while known is None and twin.has_shape(number) and twin.shape(number) != shape:  # twins share their shapes
            number = ShapeId(number + 1)
        twin.put_shape(number, shape)
        return replace(head, shape=number)

    def _starts(
        self,
        twin: Federation,
        head: WaitingJob,
        now_ms: int,
        lent: list[Node] | None = None,
        added: list[Node] | None = None,
    ) -> bool:
        for node in added or ():
            twin.put_node(node)
        twin.put_waiting([head])
        twin.lend(now_ms)
        snapshot = twin.snapshot()
        return any(start.job == head.id for start in decide(_lending(snapshot, lent or []), 0).starts)


def apply(federation: Federation, snapshot: Snapshot, plan: Plan) -> None:
    """Have the plan's runs hold their nodes."""
    for number, start in enumerate(plan.starts, 1_000):
        federation.drop_waiting(start.job)
        gang = tuple((node, workers) for node, _, _, workers in start.gang)
        shape = snapshot.shapes[start.shape]
        federation.put_run(run_of(number, start.job, start.group, shape, start.site, start.gpu_class, gang))


def lessened(wanted: Counterfactual) -> list[Counterfactual]:
    """Everything that asks for one unit less in one place."""
    less = []
    if wanted.nodes:
        less.append(replace(wanted, nodes=wanted.nodes - 1))
    for at, (path, by) in enumerate(wanted.raises):
        kept = [*wanted.raises[:at], *([(path, by - 1)] if by > 1 else []), *wanted.raises[at + 1 :]]
        less.append(replace(wanted, raises=tuple(kept)))
    if wanted.preemptible:
        less.append(replace(wanted, preemptible=False))
    if wanted.open_site:
        less.append(replace(wanted, open_site=False))
    return less


def _raised(snapshot: Snapshot, wanted: Counterfactual) -> dict[tuple[GroupId, str], Quota]:
    quotas = {(GroupId(group), name): quota for (group, name), quota in snapshot.tree.quotas.items()}
    ids = {facts.path: facts.id for facts in snapshot.groups.values()}
    for path, by in wanted.raises:
        if path == FEDERATION:
            continue  # its bound is its capacity, which nodes raise
        key = (ids[path], wanted.gpu_class)
        quota = quotas.get(key, Quota())
        quotas[key] = replace(
            quota,
            limit=None if quota.limit is None else quota.limit + by,
            borrowing_limit=None if quota.borrowing_limit is None else quota.borrowing_limit + by,
        )
    return quotas


def _node(number: int, site: SiteId, wanted: Counterfactual, gpus: int, shape: Shape) -> Node:
    workers = max(gpus // shape.gpus_per_worker, 1)
    return Node(
        id=NodeId(10_000 + number),
        site_id=site,
        name=f"added-{number}",
        pool="pool",
        gpu_class=wanted.gpu_class,
        gpus=gpus,
        cpus=shape.cpus_per_worker * workers,
        memory_mib=shape.memory_mib_per_worker * workers,
        domain=wanted.domain,
        healthy=True,
    )


def _lending(snapshot: Snapshot, nodes: list[Node]) -> Snapshot:
    """The same moment, in which a site lends these nodes more, to everybody and for ever."""
    if not nodes:
        return snapshot
    key = (nodes[0].site_id, nodes[0].gpu_class)
    pool, shown = snapshot.pools[key], NodePool(*key)
    for node in [*(snapshot.nodes[each] for each in pool.node_ids), *nodes]:
        shown.put(node)
    assert pool.pool.terms is not None and pool.pool.until_ms is not None
    lent = dict(
        zip(pool.node_ids, zip(pool.pool.terms.tolist(), pool.pool.until_ms.tolist(), strict=True), strict=True)
    )
    columns = {node: each for node, each in lent.items() if each[1]} | {node.id: (0, NEVER_MS) for node in nodes}
    shown.lend(columns)
    everything = dict(snapshot.nodes) | {node.id: node for node in nodes}
    return replace(snapshot, nodes=everything, pools={**snapshot.pools, key: _shown(snapshot, shown)})


def _shown(snapshot: Snapshot, pool: NodePool) -> SitePool:
    use: dict[NodeId, list[int]] = defaultdict(lambda: [0, 0, 0])
    leaving: dict[NodeId, list[int]] = defaultdict(lambda: [0, 0, 0])
    for run in snapshot.runs.values():
        for node, workers in run.gang:
            for at, each in enumerate((run.gpus_per_worker, run.cpus_per_worker, run.memory_mib_per_worker)):
                use[node][at] += workers * each
                leaving[node][at] += workers * each * run.leaving
    by_node: Mapping[NodeId, list[int]] = use
    return pool.show(by_node, leaving)
