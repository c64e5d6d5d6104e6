"""What would start a job, made true: plans applied to their federations, and counterfactuals to what came of them."""

from __future__ import annotations

from dataclasses import replace

from federations import Facts, build, run_of

from quota.tree import Quota
from scheduler.cycle.decide import decide
from scheduler.cycle.federation import Federation
from scheduler.cycle.plan import Counterfactual, Plan, Verdict
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.ids import GroupId, NodeId
from scheduler.model.site import Node, SiteState


def apply(federation: Federation, snapshot: Snapshot, plan: Plan) -> None:
    """Have the plan's runs hold their nodes."""
    for number, start in enumerate(plan.starts, 1_000):
        federation.drop_waiting(start.job)
        gang = tuple((node, workers) for node, _, _, workers in start.gang)
        shape = snapshot.shapes[start.shape]
        federation.put_run(run_of(number, start.job, start.group, shape, start.site, start.gpu_class, gang))


def starts_alone(drawn: Facts, snapshot: Snapshot, plan: Plan, verdict: Verdict, wanted: Counterfactual) -> bool:
    """Whether the class's head starts, alone in the queue, once ``wanted`` is true."""
    shape = snapshot.shapes[verdict.shape]
    if wanted.preemptible:
        shape = replace(shape, preemptible=True)
    quotas = dict(drawn.quotas)
    for path, by in wanted.raises:
        group = GroupId(int(path.removeprefix("group-")))
        if group == 1:
            continue  # the federation's bound is its capacity, which the nodes below raise
        quota = quotas.get((group, wanted.gpu_class), Quota())
        raised = Quota(
            guaranteed=quota.guaranteed,
            limit=None if quota.limit is None else quota.limit + by,
            borrowing_limit=None if quota.borrowing_limit is None else quota.borrowing_limit + by,
            lending_limit=quota.lending_limit,
            weight=quota.weight,
        )
        quotas[group, wanted.gpu_class] = raised
    sites = tuple(
        replace(site, state=SiteState.ACTIVE, reachable=True) if wanted.open_site and site.name == wanted.site else site
        for site in drawn.sites
    )
    site_id = next(site.id for site in sites if site.name == wanted.site)
    capacity = sum(by for path, by in wanted.raises if path == "group-1")
    nodes = [(wanted.gpus_per_node, number) for number in range(wanted.nodes)] + ([(capacity, 99)] if capacity else [])
    added = tuple(
        Node(
            id=NodeId(100 + number),
            site_id=site_id,
            name=f"added-{number}",
            pool="pool",
            gpu_class=wanted.gpu_class,
            gpus=gpus,
            cpus=shape.cpus_per_worker * max(gpus // shape.gpus_per_worker, 1),
            memory_mib=shape.memory_mib_per_worker * max(gpus // shape.gpus_per_worker, 1),
            domain=wanted.domain,
            healthy=True,
        )
        for gpus, number in nodes
    )
    changed = replace(
        drawn,
        quotas=quotas,
        sites=sites,
        nodes=drawn.nodes + added,
        shapes=drawn.shapes | {verdict.shape: shape},
        jobs=(),
    )
    federation = build(changed)
    apply(federation, snapshot, plan)
    turn = next(each for each in snapshot.waiting if each.key == verdict.key).turns  # fmt: skip
    started = {start.job for start in plan.starts}
    head = next(job for _, _, job in turn if job not in started)
    federation.put_waiting([job for job in drawn.jobs if job.id == head])
    return any(start.job == head for start in decide(federation.snapshot(), 0).starts)


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
