"""Other systems' scenes on a real federation: groups by name, whole rounds, and how often each job was made to go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from federations import OPEN_SITE, node_of, plain_shape, run_of

from quota.tree import Quota
from scheduler.cycle.check_plan import check_plan
from scheduler.cycle.decide import decide
from scheduler.cycle.facts import Earmarked, GroupFacts, LiveRun, PreemptionRules, WaitingJob
from scheduler.cycle.federation import Federation
from scheduler.cycle.plan import Plan, StopCause
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.ids import GroupId, JobId, NodeId, RunId, ShapeId, SiteId
from scheduler.model.shape import Shape
from scheduler.model.site import Node, Site

ROOT = GroupId(1)
#: Rounds within which every scene has to come to rest.
ROUNDS_MAX = 20
#: How long an elastic job takes to save its work.
SAVE_MS = 30_000


class Scene:
    """One open site of h100 (or the sites given), nodes of so many GPUs, and groups with quotas by path, parents first.

    Jobs have names: ``evicted`` counts by name how often each was stopped, ``shrunk`` how often to go on with fewer workers.
    A job that was stopped for others waits again as it was submitted.
    """

    def __init__(
        self, nodes: Sequence[int], quotas: Mapping[str, Quota], *, sites: Sequence[int] = (), minimum_run_ms: int = 0
    ) -> None:
        """``sites`` gives each node's site, by number. ``minimum_run_ms`` goes by from one round to the next."""
        self.federation = Federation(preemption=PreemptionRules(minimum_run_ms=minimum_run_ms))
        self._minimum_run_ms = minimum_run_ms
        self.evicted: Counter[str] = Counter()
        self.shrunk: Counter[str] = Counter()
        self._groups = {path: GroupId(number) for number, path in enumerate(quotas, 2)}
        self._nodes: dict[int, Node] = {}
        self._names: dict[JobId, str] = {}
        self._jobs: dict[JobId, WaitingJob] = {}
        self._shapes: dict[Shape, ShapeId] = {}
        self._runs = 0
        self._now_ms = minimum_run_ms
        facts = [_facts(ROOT, "all", None)]
        for path, group in self._groups.items():
            facts.append(_facts(group, f"all.{path}", self._groups.get(path.rpartition(".")[0], ROOT)))
        self.federation.set_groups(facts, {(self._groups[path], "h100"): quota for path, quota in quotas.items()})
        for number in sorted({1, *sites}):
            self.put_site(replace(OPEN_SITE, id=SiteId(number), name=f"site-{number}"))
        for number, gpus in enumerate(nodes, 1):
            self.put_node(node_of(number, gpus, site=sites[number - 1] if sites else 1))
        self.federation.lend(self._now_ms)

    def put_site(self, site: Site) -> None:
        """Know a site, or its new state."""
        self.federation.put_site(site)

    def put_node(self, node: Node) -> None:
        """Know a node."""
        self._nodes[node.id] = node
        self.federation.put_node(node)

    def end(self, name: str) -> None:
        """The runs of all jobs of a name are over."""
        for run in [each for each in self.federation.live_runs.values() if self._names[each.job] == name]:
            self.federation.drop_run(run.id)

    def fail(self, node: int) -> None:
        """A node breaks: its runs are gone, and their jobs wait again."""
        self.federation.put_node(replace(self._nodes[node], healthy=False))
        for run in list(self.federation.live_runs.values()):
            if any(each == node for each, _ in run.gang):
                self.federation.drop_run(run.id)
                self.federation.put_waiting([self._jobs[run.job]])

    def repair(self, node: int) -> None:
        """It is well again."""
        self.federation.put_node(self._nodes[node])

    def wait(
        self,
        name: str,
        group: str,
        gpus: int = 1,
        *,
        workers: int = 1,
        workers_max: int | None = None,
        priority: int = 0,
        count: int = 1,
    ) -> None:
        """Submit ``count`` jobs of one name: gangs of ``workers`` workers, or up to ``workers_max``, of ``gpus`` GPUs each."""
        shape = plain_shape(gpus, workers=workers, workers_max=workers_max)
        self.federation.put_waiting([self._job(name, group, shape, priority) for _ in range(count)])

    def run(
        self,
        name: str,
        group: str,
        gpus: int = 1,
        *,
        on: Sequence[int] = (1,),
        workers_min: int | None = None,
        priority: int = 0,
        count: int = 1,
    ) -> None:
        """Have ``count`` jobs run, for as long as they may count on. Each has a worker of ``gpus`` GPUs on each node that
        ``on`` names, as often as it does. ``workers_min``: they are elastic, and can do with so few.
        """
        if workers_min is None:
            shape = plain_shape(gpus, workers=len(on))
        else:
            shape = plain_shape(gpus, workers=workers_min, workers_max=len(on))
        for _ in range(count):
            job = self._job(name, group, shape, priority)
            gang = tuple((NodeId(node), workers) for node, workers in Counter(on).items())
            started_ms = self._now_ms - self._minimum_run_ms
            self._put_run(job, shape, self._nodes[on[0]].site_id, gang, started_ms)

    def held(self, group: str) -> int:
        """GPUs of a group's own runs."""
        return sum(run.gpus for run in self.federation.live_runs.values() if run.group == self._groups[group])

    def running(self, name: str) -> int:
        """How many jobs of a name run."""
        return sum(self._names[run.job] == name for run in self.federation.live_runs.values())

    def decided(self) -> tuple[Snapshot, Plan]:
        """One round, lawful, which changes nothing yet."""
        snapshot = self.federation.snapshot()
        plan = decide(snapshot, 0)
        assert check_plan(snapshot, plan) == ()
        return snapshot, plan

    def names_of_stops(self, plan: Plan) -> Counter[str]:
        """Whom a plan stops."""
        return Counter(self._names[stop.job] for stop in plan.stops)

    def settle(self) -> None:
        """Rounds, each applied and followed by one on unchanged input that has to do nothing, until nothing is left to do."""
        for _ in range(ROUNDS_MAX):
            snapshot, plan = self.decided()
            if not (plan.starts or plan.stops or plan.redeemed or plan.withdrawn or plan.earmarks):
                return
            self._apply(snapshot, plan)
            _, after = self.decided()
            assert (after.stops, after.earmarks, after.sizes, after.withdrawn) == ((), (), (), ())
            assert not after.starts
            self._end_leaving()
            self._now_ms += max(self._minimum_run_ms, 1)
            self.federation.lend(self._now_ms)
        raise AssertionError("the federation does not come to rest")

    def _apply(self, snapshot: Snapshot, plan: Plan) -> None:
        for job in plan.withdrawn:
            self.federation.put_waiting([self._jobs[job]])
        for earmark in (*plan.earmarks, *plan.sizes):
            gang = tuple((node, workers) for node, _, _, workers in earmark.gang)
            job = self._jobs[earmark.job]
            self.federation.put_earmark(Earmarked(job=job, site=earmark.site, gpu_class=earmark.gpu_class, gang=gang))
        for stop in plan.stops:
            count = self.shrunk if stop.cause is StopCause.SHRUNK else self.evicted
            count[self._names[stop.job]] += 1
            self.federation.put_run(replace(self.federation.live_runs[stop.run], leaving=True))
        for start in [*plan.redeemed, *plan.starts]:
            self.federation.drop_waiting(start.job)
            gang = tuple((node, workers) for node, _, _, workers in start.gang)
            self._put_run(self._jobs[start.job], snapshot.shapes[start.shape], start.site, gang, self._now_ms)

    def _end_leaving(self) -> None:
        for run in [each for each in self.federation.live_runs.values() if each.leaving]:
            self.federation.drop_run(run.id)
            if not self.federation.is_earmarked(run.job):
                self.federation.put_waiting([self._jobs[run.job]])

    def _put_run(
        self, job: WaitingJob, shape: Shape, site: SiteId, gang: tuple[tuple[NodeId, int], ...], started_ms: int
    ) -> None:
        self._runs += 1
        run: LiveRun = run_of(self._runs, job.id, job.group, shape, site, "h100", gang)
        run = replace(
            run, id=RunId(self._runs), started_ms=started_ms, preemptible=True, priority=job.priority, returns_as=job,
            checkpoints=job.save_ms is not None, grace_ms=job.save_ms or 0,
        )  # fmt: skip
        self.federation.put_run(run.elastic_as(shape))

    def _job(self, name: str, group: str, shape: Shape, priority: int) -> WaitingJob:
        if shape not in self._shapes:
            self._shapes[shape] = ShapeId(len(self._shapes) + 1)
            self.federation.put_shape(self._shapes[shape], shape)
        number = JobId(len(self._jobs) + 1)
        job = WaitingJob(
            id=number, group=self._groups[group], shape=self._shapes[shape], priority=priority, submitted_ms=number,
            save_ms=None if shape.workers_max is None else SAVE_MS,
        )  # fmt: skip
        self._jobs[number], self._names[number] = job, name
        return job


def _facts(group: GroupId, path: str, parent: GroupId | None) -> GroupFacts:
    return GroupFacts(id=group, path=path, parent=parent, trust_domain="one", public_sector=False)
