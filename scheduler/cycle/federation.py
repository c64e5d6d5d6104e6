"""The federation in memory: facts come in one by one, snapshots go out. Not thread-safe."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from immutables import Map

from quota.cells import Right
from quota.decay import Decay, DecayedUse
from quota.standing import Standing
from quota.topology import Place
from quota.tree import Group, Quota, QuotaTree
from scheduler.cycle.cells import CellKeeper, groups_with_cells
from scheduler.cycle.facts import (
    DEFAULT_PREEMPTION,
    ClassKey,
    Earmarked,
    GroupFacts,
    LiveRun,
    PreemptionRules,
    WaitingJob,
)
from scheduler.cycle.group_use import GroupUses
from scheduler.cycle.kept import Kept
from scheduler.cycle.lending import Lending
from scheduler.cycle.node_pool import NodePool
from scheduler.cycle.past_use import PastUses
from scheduler.cycle.pool_runs import RunsNow
from scheduler.cycle.queues import Queues
from scheduler.cycle.shape_table import ShapeTable
from scheduler.cycle.snapshot import Snapshot, venue_of
from scheduler.cycle.spares import SpareKeeper
from scheduler.cycle.standing import Standings
from scheduler.cycle.waiting import Venue
from scheduler.model.data_class import DEFAULT_POLICY, Clearance, DataClassPolicy
from scheduler.model.ids import GroupId, JobId, NodeId, RunId, ShapeId, SiteId
from scheduler.model.offer import Offer
from scheduler.model.recall import Recall, Reservation
from scheduler.model.shape import Shape
from scheduler.model.site import Node, SecurityGrade, Site

PoolKey = tuple[SiteId, str]


class Federation:
    """Everything a round decides on. Putting something again replaces it; dropping what is not there does nothing."""

    def __init__(
        self, policy: DataClassPolicy = DEFAULT_POLICY, preemption: PreemptionRules = DEFAULT_PREEMPTION
    ) -> None:
        self._policy = policy
        self._preemption = preemption
        self._tree = QuotaTree.build([Group(0, "federation", None)], {})
        self._groups: dict[GroupId, GroupFacts] = {}
        self._sites: dict[SiteId, Site] = {}
        self._nodes: Map[NodeId, Node] = Map()
        self._pools: dict[PoolKey, NodePool] = {}
        self._shapes = ShapeTable()
        self._queues = Queues()
        self._rules: dict[tuple[Clearance, SecurityGrade], str | None] = {}
        self._runs: Map[RunId, LiveRun] = Map()
        self._runs_on: Map[NodeId, tuple[RunId, ...]] = Map()
        self._earmarks: dict[JobId, Earmarked] = {}
        self._leaving: dict[JobId, LiveRun] = {}
        self._elastic: dict[RunId, LiveRun] = {}
        self._node_use: defaultdict[NodeId, list[int]] = defaultdict(lambda: [0, 0, 0])
        self._node_leaving: defaultdict[NodeId, list[int]] = defaultdict(lambda: [0, 0, 0])
        self._uses = GroupUses()
        self._site_use: defaultdict[PoolKey, int] = defaultdict(int)
        self._lending = Lending()
        self._holders: frozenset[GroupId] = frozenset()
        self._having_cells: Mapping[str, frozenset[GroupId]] = {}
        self._cell_groups: frozenset[GroupId] = frozenset()
        self._cells = CellKeeper()
        self._spares = SpareKeeper()
        self._past = PastUses()
        self._standings = Standings()
        self._kept = Kept()

    def copy(self) -> Federation:
        """The same facts, which from now on change by themselves. Shapes, which are only ever added, stay in common."""
        twin = Federation(self._policy, self._preemption)
        twin._tree, twin._groups, twin._shapes, twin._rules = self._tree, self._groups, self._shapes, self._rules
        twin._sites, twin._nodes, twin._runs = self._sites.copy(), self._nodes, self._runs
        twin._pools = {key: pool.copy() for key, pool in self._pools.items()}
        twin._queues, twin._earmarks = self._queues.copy(), self._earmarks.copy()
        twin._leaving, twin._runs_on = self._leaving.copy(), self._runs_on
        twin._elastic = self._elastic.copy()
        for mine, its in ((self._node_use, twin._node_use), (self._node_leaving, twin._node_leaving)):
            its.update({node: amounts.copy() for node, amounts in mine.items()})
        twin._uses = self._uses.copy()
        twin._site_use.update(self._site_use)
        twin._lending, twin._past = self._lending.copy(), self._past.copy()
        twin._standings = self._standings.copy()
        twin._holders, twin._cells = self._holders, self._cells.copy()
        twin._having_cells, twin._cell_groups = self._having_cells, self._cell_groups
        twin._spares = self._spares.copy()
        return twin

    def set_groups(self, groups: Sequence[GroupFacts], quotas: Mapping[tuple[GroupId, str], Quota]) -> None:
        """Replace the whole tree. Raises ``quota.errors.TreeError`` for what makes no tree."""
        members = [Group(each.id, each.path.rpartition(".")[2], each.parent) for each in groups]
        self._tree = QuotaTree.build(members, {(int(group), name): quota for (group, name), quota in quotas.items()})
        self._groups = {each.id: each for each in groups}
        self._having_cells = groups_with_cells(self._tree)
        self._cell_groups = frozenset[GroupId]().union(*self._having_cells.values())
        self._cells.forget_rights()
        self._queues.forget_venues()
        self._lending.forget()
        self._uses.forget()

    def put_site(self, site: Site) -> None:
        """Know a site, or its new state."""
        self._sites[site.id] = site
        self._spares.set_blocks(site.id, site.block_nodes)
        self._cells.forget_nodes()

    def put_node(self, node: Node) -> None:
        """Know a node, or what has changed of it."""
        self._spares.put(node)
        self._see(node)

    def is_earmarked(self, job_id: JobId) -> bool:
        """Whether nodes are held for a job."""
        return job_id in self._earmarks

    def remove_node(self, node_id: NodeId) -> None:
        """Forget a node. Runs on it go on holding what they hold."""
        self._spares.remove(node_id)
        self._lose_sight(node_id)

    def put_shape(self, shape_id: ShapeId, shape: Shape) -> None:
        """Know what a shape asks for."""
        self._shapes.put(shape_id, shape)

    def shape(self, shape_id: ShapeId) -> Shape:
        """A shape that is known."""
        return self._shapes[shape_id]

    def has_shape(self, shape_id: ShapeId) -> bool:
        """Whether the shape is known."""
        return shape_id in self._shapes

    def put_waiting(self, jobs: Sequence[WaitingJob]) -> None:
        """Have jobs wait, without any earmark. Their shapes and groups have to be known by the next snapshot."""
        for job in jobs:
            self._drop_earmark(job.id)
        self._queues.put(jobs)

    def drop_waiting(self, job_id: JobId) -> None:
        """A job waits no more, nor are nodes held for it."""
        self._queues.drop(job_id)
        self._drop_earmark(job_id)

    def put_earmark(self, earmark: Earmarked) -> None:
        """Hold nodes and quota for a waiting job, whose shape has to be known. Rounds place it there and nowhere else."""
        self.drop_waiting(earmark.job.id)
        self._earmarks[earmark.job.id] = earmark
        self._hold_earmark(earmark, 1)

    def put_run(self, run: LiveRun) -> None:
        """A run holds its nodes."""
        self.drop_run(run.id)
        self._runs = self._runs.set(run.id, run)
        with self._runs_on.mutate() as runs_on:
            for node, _ in run.gang:
                runs_on[node] = (*runs_on.get(node, ()), run.id)
            self._runs_on = runs_on.finish()
        self._hold(run, 1)
        self._pool(run.site, run.gpu_class).put_run(run)
        self._lending.put_run(run)

    def drop_run(self, run_id: RunId) -> None:
        """A run holds nothing any more."""
        run = self._runs.get(run_id)
        if run is not None:
            self._runs = self._runs.delete(run_id)
            with self._runs_on.mutate() as runs_on:
                for node, _ in run.gang:
                    left = tuple([each for each in runs_on[node] if each != run_id])
                    if left:
                        runs_on[node] = left
                    else:
                        del runs_on[node]
                self._runs_on = runs_on.finish()
            self._hold(run, -1)
            self._pool(run.site, run.gpu_class).drop_run(run)
            self._lending.drop_run(run)

    def end_run(self, run_id: RunId, now_ms: int) -> None:
        """A run holds nothing any more, and what it used until now counts as past use. Where there is a record, it says that."""
        run = self._runs.get(run_id)
        if run is not None:
            self._past.end(run, now_ms)
            self.drop_run(run_id)

    def put_past_use(self, group: GroupId, gpu_class: str, use: DecayedUse) -> None:
        """Know what a group's own ended runs of a GPU class come to, as the rule of now counts it."""
        self._past.put((group, gpu_class), use)

    def put_standing(self, group: GroupId, gpu_class: str, standing: Standing) -> None:
        """Know what a group lent and surged of a GPU class, as the rule of now counts it, and what counts since."""
        self._standings.put((group, gpu_class), standing)

    def remember_cells(self, places: Mapping[Place, Right]) -> None:
        """Know where cells were. They are there still, where each can be."""
        self._cells = CellKeeper(places)

    def set_decay(self, decay: Decay) -> None:
        """Have past use and standing decay by another rule. What ended runs come to, and what is kept of standing, has to be put
        again, as that rule counts it."""
        self._past.set_decay(decay)
        self._standings.set_decay(decay)

    def set_lending(
        self, offers: Sequence[Offer], recalls: Sequence[Recall], reservations: Sequence[Reservation]
    ) -> None:
        """Replace all offers (closed ones too), recalls and reservations; ``lend`` makes them count."""
        self._lending.set(offers, recalls, reservations)
        holders = frozenset(each.group for each in reservations if each.group is not None)
        if holders != self._holders:
            self._holders = holders
            self._queues.forget_venues()

    def lend(self, now_ms: int) -> None:
        """Work out what sites lend at a moment, and whom they may be asked for. Snapshots speak of the last such moment."""
        self._queues.let_ask(now_ms)
        self._settle_spares()
        for site, lent in self._lending.work_out(now_ms, self._nodes.values(), self._groups):
            self._cells.forget_nodes()
            for (each, _), pool in self._pools.items():
                if each == site:
                    pool.lend(lent)

    @property
    def lending_changes_ms(self) -> int:
        """When sites lend otherwise by the clock alone; ``NEVER_MS`` for never."""
        return self._lending.changes_ms

    @property
    def asks_ms(self) -> int:
        """When the next site that refused a waiting job may be asked again; ``NEVER_MS`` for never."""
        return self._queues.asks_ms

    @property
    def live_runs(self) -> Mapping[RunId, LiveRun]:
        """Runs that hold nodes."""
        return self._runs

    @property
    def has_elastic_runs(self) -> bool:
        """Whether a round may find something to do though no job waits: runs that could have more workers."""
        return bool(self._elastic)

    def snapshot(self) -> Snapshot:
        """This moment, for a round. Later changes here do not reach it."""
        self._settle_spares()
        shown = Snapshot(
            tree=self._tree,
            groups=self._groups,
            policy=self._policy,
            sites=dict(self._sites),
            nodes=self._nodes,
            spares=self._spares.spares,
            shapes=self._shapes,
            pools={
                key: self._pools[key].show(self._node_use, self._node_leaving)
                for key in sorted(self._pools)
                if key[0] in self._sites and not self._pools[key].is_empty
            },
            strays=self._strays(),
            uses=self._uses.show(self._tree, self._going_on()),
            site_use=dict(self._site_use),
            runs=self._runs,
            runs_on=self._runs_on,
            elastic=self._elastic.copy(),
            table=self._queues.table(self._venue_of),
            rules=self._rules,
            kept=self._kept,
            earmarks=self._earmarks.copy(),
            preemption=self._preemption,
            terms=self._lending.terms,
            now_ms=self._lending.at_ms,
            told=self._lending.told,
            past_use=self._past.show(self._tree, self._runs.values(), self._lending.at_ms),
            standing=self._standings.show(self._tree, self._lending.at_ms),
        )
        return self._cells.show(shown, self._having_cells) if self._having_cells else shown

    def _strays(self) -> dict[str, list[RunsNow]]:
        found: dict[str, list[RunsNow]] = {}
        for (site, gpu_class), pool in self._pools.items():
            if (pool.is_empty or site not in self._sites) and not pool.runs.is_empty:
                found.setdefault(gpu_class, []).append(pool.runs.show())
        return found

    def _going_on(self) -> Iterator[tuple[GroupId, str, int]]:
        """What the jobs of runs that are moved, or go on with another number of workers, hold by their earmarks already."""
        for job in self._earmarks.keys() & self._leaving.keys():
            run = self._leaving[job]
            yield run.group, run.gpu_class, min(run.gpus, self._gpus_held(self._earmarks[job]))

    def _venue_of(self, key: ClassKey) -> Venue:
        group, shape = self._groups[key.group], self._shapes[key.shape]
        return venue_of(key, group, shape, self._tree, self._holders, self._cell_groups)

    def _settle_spares(self) -> None:
        for node in self._spares.settle(self._node_use):
            self._see(node)

    def _see(self, node: Node) -> None:
        self._lose_sight(node.id)
        self._nodes = self._nodes.set(node.id, node)
        self._pool(node.site_id, node.gpu_class).put(node)
        self._lending.touch(node.site_id)
        self._cells.forget_nodes()

    def _lose_sight(self, node_id: NodeId) -> None:
        node = self._nodes.get(node_id)
        if node is not None:
            self._nodes = self._nodes.delete(node_id)
            self._pool(node.site_id, node.gpu_class).remove(node_id)
            self._lending.touch(node.site_id)
            self._cells.forget_nodes()

    def _pool(self, site: SiteId, gpu_class: str) -> NodePool:
        pool = self._pools.get((site, gpu_class))
        if pool is None:
            pool = self._pools[site, gpu_class] = NodePool(site, gpu_class)
        return pool

    def _hold(self, run: LiveRun, sign: int) -> None:
        self._past.hold(run, sign)
        each = (sign * run.gpus_per_worker, sign * run.cpus_per_worker, sign * run.memory_mib_per_worker)
        self._hold_nodes((run.site, run.gpu_class), run.gang, each, leaving=run.leaving)
        if run.gpu_class in self._having_cells and not run.leaving:
            self._cells.hold(run.group, run.gang, run.gpus_per_worker, firm=not run.preemptible, sign=sign)
        if run.leaving and sign > 0:
            self._leaving[run.job] = run
        elif run.leaving:
            self._leaving.pop(run.job, None)
        if run.workers_min is not None and not run.leaving and sign > 0:
            self._elastic[run.id] = run
        elif run.workers_min is not None:
            self._elastic.pop(run.id, None)
        self._uses.hold(run, sign)
        self._site_use[run.site, run.gpu_class] += sign * run.gpus

    def _drop_earmark(self, job_id: JobId) -> None:
        earmark = self._earmarks.pop(job_id, None)
        if earmark is not None:
            self._hold_earmark(earmark, -1)

    def _hold_earmark(self, earmark: Earmarked, sign: int) -> None:
        shape = self._shapes[earmark.job.shape]
        each = (sign * shape.gpus_per_worker, sign * shape.cpus_per_worker, sign * shape.memory_mib_per_worker)
        self._hold_nodes((earmark.site, earmark.gpu_class), earmark.gang, each)
        if earmark.gpu_class in self._having_cells:
            asked, firm = shape.gpus_per_worker, not shape.preemptible
            self._cells.hold(earmark.job.group, earmark.gang, asked, firm=firm, sign=sign)
        self._uses.hold_earmark(earmark.job.group, earmark.gpu_class, sign * self._gpus_held(earmark))

    def _gpus_held(self, earmark: Earmarked) -> int:
        return earmark.workers * self._shapes[earmark.job.shape].gpus_per_worker

    def _hold_nodes(
        self, key: PoolKey, gang: Sequence[tuple[NodeId, int]], each: tuple[int, int, int], *, leaving: bool = False
    ) -> None:
        held = [(node_id, [workers * amount for amount in each]) for node_id, workers in gang]
        for uses in (self._node_use, self._node_leaving) if leaving else (self._node_use,):
            for node_id, amounts in held:
                use = uses[node_id]
                for index, amount in enumerate(amounts):
                    use[index] += amount
                if use == [0, 0, 0]:
                    del uses[node_id]
        for node_id, _ in gang:
            self._spares.touch(node_id)
        if key in self._pools:
            self._pools[key].hold(held, leaving=leaving)
