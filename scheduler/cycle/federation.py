"""The federation in memory: facts come in one by one, snapshots go out. Not thread-safe."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from quota.tree import Group, Quota, QuotaTree
from scheduler.cycle.facts import GroupFacts, LiveRun, WaitingJob
from scheduler.cycle.snapshot import SitePool, Snapshot, Turn, WaitingClass
from scheduler.model.data_class import DEFAULT_POLICY, DataClassPolicy
from scheduler.model.ids import GroupId, JobId, NodeId, RunId, ShapeId, SiteId
from scheduler.model.shape import Shape
from scheduler.model.site import Node, Site
from scheduler.placement.pool import Pool

PoolKey = tuple[SiteId, str]
#: (group, shape, bound site or None)
ClassKey = tuple[GroupId, ShapeId, SiteId | None]


@dataclass(slots=True)
class _Queue:
    """Jobs of one class; ``ordered`` is None while it has to be sorted again."""

    turns: dict[JobId, Turn] = field(default_factory=dict)
    ordered: WaitingClass | None = None


class Federation:
    """Everything a round decides on. Putting something again replaces it; dropping what is not there does nothing."""

    def __init__(self, policy: DataClassPolicy = DEFAULT_POLICY) -> None:
        self._policy = policy
        self._tree = QuotaTree.build([Group(0, "federation", None)], {})
        self._groups: dict[GroupId, GroupFacts] = {}
        self._sites: dict[SiteId, Site] = {}
        self._nodes: dict[NodeId, Node] = {}
        self._nodes_of: defaultdict[PoolKey, set[NodeId]] = defaultdict(set)
        self._pools: dict[PoolKey, SitePool] = {}
        self._stale_pools: set[PoolKey] = set()
        self._shapes: dict[ShapeId, Shape] = {}
        self._queues: dict[ClassKey, _Queue] = {}
        self._class_of: dict[JobId, ClassKey] = {}
        self._runs: dict[RunId, LiveRun] = {}
        self._node_use: defaultdict[NodeId, list[int]] = defaultdict(lambda: [0, 0, 0])
        self._own_use: defaultdict[str, defaultdict[GroupId, int]] = defaultdict(lambda: defaultdict(int))
        self._site_use: defaultdict[PoolKey, int] = defaultdict(int)

    def set_policy(self, policy: DataClassPolicy) -> None:
        """Decide by another version of the data classes' rules."""
        self._policy = policy

    def set_groups(self, groups: Sequence[GroupFacts], quotas: Mapping[tuple[GroupId, str], Quota]) -> None:
        """Replace the whole tree. Raises ``quota.errors.TreeError`` for what makes no tree."""
        members = [Group(each.id, each.path.rpartition(".")[2], each.parent) for each in groups]
        self._tree = QuotaTree.build(members, {(int(group), name): quota for (group, name), quota in quotas.items()})
        self._groups = {each.id: each for each in groups}

    def put_site(self, site: Site) -> None:
        """Know a site, or its new state."""
        self._sites[site.id] = site

    def put_node(self, node: Node) -> None:
        """Know a node, or what has changed of it."""
        self.remove_node(node.id)
        key = (node.site_id, node.gpu_class)
        self._nodes[node.id] = node
        self._nodes_of[key].add(node.id)
        self._stale_pools.add(key)

    def remove_node(self, node_id: NodeId) -> None:
        """Forget a node. Runs on it go on holding what they hold."""
        node = self._nodes.pop(node_id, None)
        if node is not None:
            key = (node.site_id, node.gpu_class)
            self._nodes_of[key].discard(node_id)
            self._stale_pools.add(key)

    def put_shape(self, shape_id: ShapeId, shape: Shape) -> None:
        """Know what a shape asks for."""
        self._shapes[shape_id] = shape

    def has_shape(self, shape_id: ShapeId) -> bool:
        """Whether the shape is known."""
        return shape_id in self._shapes

    def put_waiting(self, jobs: Sequence[WaitingJob]) -> None:
        """Have jobs wait. Their shapes and groups have to be known by the next snapshot."""
        queues, class_of = self._queues, self._class_of
        for job in jobs:
            key = (job.group, job.shape, job.bound_site)
            before = class_of.get(job.id)
            if before is not None and before != key:
                self.drop_waiting(job.id)
            queue = queues.get(key)
            if queue is None:
                queue = queues[key] = _Queue()
            queue.turns[job.id] = (-job.priority, job.submitted_ms, job.id)
            queue.ordered = None
            class_of[job.id] = key

    def drop_waiting(self, job_id: JobId) -> None:
        """A job waits no more."""
        key = self._class_of.pop(job_id, None)
        if key is None:
            return
        queue = self._queues[key]
        del queue.turns[job_id]
        queue.ordered = None
        if not queue.turns:
            del self._queues[key]

    def is_waiting(self, job_id: JobId) -> bool:
        """Whether a job waits."""
        return job_id in self._class_of

    def put_run(self, run: LiveRun) -> None:
        """A run holds its nodes."""
        self.drop_run(run.id)
        self._runs[run.id] = run
        self._hold(run, 1)

    def drop_run(self, run_id: RunId) -> None:
        """A run holds nothing any more."""
        run = self._runs.pop(run_id, None)
        if run is not None:
            self._hold(run, -1)

    @property
    def live_runs(self) -> Mapping[RunId, LiveRun]:
        """Runs that hold nodes."""
        return self._runs

    def snapshot(self) -> Snapshot:
        """This moment, for a round. Later changes here do not reach it."""
        for key in self._stale_pools:
            if self._nodes_of[key]:
                self._pools[key] = self._build_pool(key)
            else:
                self._pools.pop(key, None)
        self._stale_pools.clear()
        return Snapshot(
            tree=self._tree,
            groups=self._groups,
            policy=self._policy,
            sites=dict(self._sites),
            nodes=dict(self._nodes),
            shapes=self._shapes,
            pools={key: self._pools[key] for key in sorted(self._pools) if key[0] in self._sites},
            own_use={name: dict(use) for name, use in self._own_use.items()},
            site_use=dict(self._site_use),
            runs=dict(self._runs),
            waiting=tuple(self._waiting_class(key, queue) for key, queue in self._queues.items()),
        )

    def _waiting_class(self, key: ClassKey, queue: _Queue) -> WaitingClass:
        if queue.ordered is None:
            queue.ordered = WaitingClass(*key, turns=tuple(sorted(queue.turns.values())))
        return queue.ordered

    def _hold(self, run: LiveRun, sign: int) -> None:
        for node_id, workers in run.gang:
            use = self._node_use[node_id]
            use[0] += sign * workers * run.gpus_per_worker
            use[1] += sign * workers * run.cpus_per_worker
            use[2] += sign * workers * run.memory_mib_per_worker
            if use == [0, 0, 0]:
                del self._node_use[node_id]
        key = (run.site, run.gpu_class)
        self._own_use[run.gpu_class][run.group] += sign * run.gpus
        self._site_use[key] += sign * run.gpus
        self._stale_pools.add(key)

    def _build_pool(self, key: PoolKey) -> SitePool:
        nodes = sorted((self._nodes[each] for each in self._nodes_of[key]), key=lambda node: (node.name, node.id))
        nothing = [0, 0, 0]
        use = np.array([self._node_use.get(node.id, nothing) for node in nodes], dtype=np.int64)
        totals = np.array([(node.gpus, node.cpus, node.memory_mib) for node in nodes], dtype=np.int64)
        healthy = np.array([node.healthy for node in nodes])
        free = np.where(healthy[:, None], np.maximum(totals - use, 0), 0)
        pool = Pool(
            tuple(node.name for node in nodes),
            tuple(node.domain for node in nodes),
            free[:, 0].copy(),
            free[:, 1].copy(),
            free[:, 2].copy(),
        )
        node_ids = tuple(node.id for node in nodes)
        return SitePool(key[0], key[1], node_ids, pool, int(totals[healthy, 0].sum()))
