"""One round of the scheduler, state in memory: ``python -m benchmarks.round --nodes N --jobs J --groups G``.

``--shapes`` is how many different shapes the jobs have, ``--cores`` what each worker asks for of a node's 128;
``--full`` fills the cluster first, so that nothing can start;
``--contested`` fills it with runs of one group that may be preempted, so that the others reclaim all that one round may;
``--backfill`` fills nineteen of twenty nodes with runs that end within a day, so that nodes are reserved for gangs and jobs
with walltimes go in front; ``--scattered`` leaves half of every node free, beside small runs that may be moved, and has only jobs
of whole nodes wait. A round is snapshot, ``decide`` and ``check_plan``. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import resource
import time
from collections.abc import Sequence

from quota.decay import FRACTION_BITS, DecayedUse
from quota.tree import Quota
from scheduler.cycle.check_plan import check_plan
from scheduler.cycle.decide import decide
from scheduler.cycle.facts import GroupFacts, LiveRun, WaitingJob
from scheduler.cycle.federation import Federation
from scheduler.cycle.plan import Verdict
from scheduler.model.ids import GroupId, JobId, NodeId, RunId, ShapeId, SiteId
from scheduler.model.shape import DataClass, Shape, Topology
from scheduler.model.site import Csap, Node, SecurityGrade, Site, SiteState

GPU_CLASS = "h100"
HOUR_MS = 3_600_000
GPUS_A_NODE = 8
NODES_A_SITE = 2_000
NODES_A_LEAF, NODES_A_SPINE = 32, 256


def put_sites(federation: Federation, nodes: int) -> None:
    """Sites of equal nodes in leaves and spines."""
    security = SecurityGrade(csap=Csap.HIGH, isolates_users=True)
    for number in range(nodes):
        site = SiteId(number // NODES_A_SITE + 1)
        if number % NODES_A_SITE == 0:
            federation.put_site(
                Site(id=site, name=f"site-{site:03}", state=SiteState.ACTIVE, security=security, reachable=True)
            )
        place = number % NODES_A_SITE
        domain = ("hall", f"spine-{place // NODES_A_SPINE:02}", f"leaf-{place // NODES_A_LEAF:03}")
        federation.put_node(
            Node(
                id=NodeId(number + 1),
                site_id=site,
                name=f"node-{number:06}",
                pool="pool",
                gpu_class=GPU_CLASS,
                gpus=GPUS_A_NODE,
                cpus=128,
                memory_mib=2_000_000,
                domain=domain,
                healthy=True,
            )
        )


def put_groups(federation: Federation, groups: int, gpus: int) -> list[GroupId]:
    """A tree of three levels with guarantees for about half of the GPUs, and use by everybody before; answer the projects."""
    facts = [GroupFacts(id=GroupId(1), path="federation", parent=None, trust_domain="t", public_sector=False)]
    quotas: dict[tuple[GroupId, str], Quota] = {}
    sectors = [GroupId(number) for number in range(2, 6)]
    projects = [GroupId(number) for number in range(6, max(7, groups + 1))]
    share = max(1, gpus // 2 // len(projects))
    for number, project in enumerate(projects):
        parent = sectors[number % len(sectors)]
        facts.append(
            GroupFacts(id=project, path=f"s{parent}.p{project}", parent=parent, trust_domain="t", public_sector=False)
        )
        quotas[project, GPU_CLASS] = Quota(guaranteed=share, weight=1 + number % 5)
    for sector in sectors:
        facts.append(GroupFacts(id=sector, path=f"s{sector}", parent=GroupId(1), trust_domain="t", public_sector=False))
        below = sum(1 for number in range(len(projects)) if sectors[number % len(sectors)] == sector)
        quotas[sector, GPU_CLASS] = Quota(guaranteed=share * below)
    federation.set_groups(facts, quotas)
    dice = random.Random(2)
    for project in projects:
        federation.put_past_use(project, GPU_CLASS, DecayedUse(dice.randrange(2**40) << FRACTION_BITS, 0))
    return projects


def put_shapes(federation: Federation, shapes: int, cores: int = 8) -> list[ShapeId]:
    """Different shapes: gangs of up to eight whole nodes and parts of one, as real job logs mix them; each worker asks for so
    many cores."""
    dice = random.Random(1)
    ids = [ShapeId(number + 1) for number in range(shapes)]
    for number, each in enumerate(ids):
        gang = dice.choice((1, 1, 1, 1, 1, 1, 2, 4, 8))
        federation.put_shape(
            each,
            Shape(
                workers=gang,
                gpus_per_worker=GPUS_A_NODE if gang > 1 else dice.choice((1, 2, 4, 8, 8)),
                cpus_per_worker=cores,
                memory_mib_per_worker=1_000 + number,
                gpu_classes=(GPU_CLASS,),
                topology=dice.choice((Topology.ANY, Topology.ANY, Topology.LEAF)),
                data_class=DataClass.OPEN,
                preemptible=True,
            ),
        )
    return ids


def put_jobs(
    federation: Federation, jobs: int, groups: list[GroupId], shapes: list[ShapeId], *, walltimes: bool = False
) -> None:
    """Jobs of random groups; each group uses a few of the shapes. ``walltimes``: of 1 to 24 hours, by shape."""
    dice = random.Random(2)
    few = max(1, len(shapes) // len(groups))
    waiting = []
    for number in range(jobs):
        index = dice.randrange(len(groups))
        shape = shapes[(index * few + dice.randrange(few)) % len(shapes)]
        waiting.append(
            WaitingJob(
                id=JobId(number + 1),
                group=groups[index],
                shape=shape,
                priority=0,
                submitted_ms=1_000 + number,
                walltime_ms=(1 + shape % 24) * HOUR_MS if walltimes else None,
            )
        )
    federation.put_waiting(waiting)


def fill(
    federation: Federation, nodes: int, group: GroupId, *, preemptible: bool = False, walltimes: bool = False
) -> None:
    """One run on every node: nothing is free. ``walltimes``: they end within a day, and one of twenty nodes is free."""
    for number in range(nodes):
        if walltimes and number % 20 == 0:
            continue
        federation.put_run(
            LiveRun(
                id=RunId(number + 1),
                job=JobId(10_000_000 + number),
                group=group,
                site=SiteId(number // NODES_A_SITE + 1),
                gpu_class=GPU_CLASS,
                gpus_per_worker=GPUS_A_NODE,
                cpus_per_worker=1,
                memory_mib_per_worker=1,
                gang=((NodeId(number + 1), 1),),
                preemptible=preemptible,
                expected_end_ms=(1 + number % 1440) * HOUR_MS // 60 if walltimes else None,
            )
        )


def scatter(federation: Federation, nodes: int, groups: list[GroupId], shape: ShapeId) -> None:
    """Two small runs on every node, of all groups in turn, that write checkpoints: half of all GPUs are free, no whole node."""
    federation.put_shape(
        shape,
        Shape(
            workers=1,
            gpus_per_worker=GPUS_A_NODE // 4,
            cpus_per_worker=1,
            memory_mib_per_worker=1,
            gpu_classes=(GPU_CLASS,),
            topology=Topology.ANY,
            data_class=DataClass.OPEN,
            preemptible=True,
        ),
    )
    for number in range(2 * nodes):
        job, group, node = JobId(10_000_000 + number), groups[number % len(groups)], number // 2
        federation.put_run(
            LiveRun(
                id=RunId(number + 1),
                job=job,
                group=group,
                site=SiteId(node // NODES_A_SITE + 1),
                gpu_class=GPU_CLASS,
                gpus_per_worker=GPUS_A_NODE // 4,
                cpus_per_worker=1,
                memory_mib_per_worker=1,
                gang=((NodeId(node + 1), 1),),
                checkpoints=True,
                grace_ms=60_000 + number % 97,
                returns_as=WaitingJob(id=job, group=group, shape=shape, priority=0, submitted_ms=0, save_ms=60_000),
            )
        )


def verdict_seconds(verdicts: Sequence[Verdict]) -> float:
    """How long one reading of one verdict takes, in the middle of a sample."""
    taken = []
    for number in range(0, len(verdicts), max(1, len(verdicts) // 100)):
        began = time.perf_counter()
        _ = verdicts[number]
        taken.append(time.perf_counter() - began)
    return round(sorted(taken)[len(taken) // 2], 6) if taken else 0.0


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1_000)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--groups", type=int, default=100)
    parser.add_argument("--shapes", type=int, default=1_000)
    parser.add_argument("--cores", type=int, default=8, help="of each worker; a node has 128")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--contested", action="store_true")
    parser.add_argument("--backfill", action="store_true")
    parser.add_argument("--scattered", action="store_true")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    federation = Federation()
    put_sites(federation, options.nodes)
    groups = put_groups(federation, options.groups, options.nodes * GPUS_A_NODE)
    shapes = put_shapes(federation, options.shapes, options.cores)
    if options.scattered:
        scatter(federation, options.nodes, groups, ShapeId(len(shapes) + 1))
        shapes = [shape for shape in shapes if federation.shape(shape).gpus_per_worker == GPUS_A_NODE]
    put_jobs(federation, options.jobs, groups, shapes, walltimes=options.backfill)
    if options.full or options.contested or options.backfill:
        fill(federation, options.nodes, groups[0], preemptible=options.contested, walltimes=options.backfill)
    federation.snapshot()
    gc.freeze()
    seconds, decide_seconds, plan = [], [], None
    for _ in range(options.repeats):
        began = time.perf_counter()
        snapshot = federation.snapshot()
        plan = decide(snapshot, 0)
        decided = time.perf_counter()
        if check_plan(snapshot, plan):
            raise RuntimeError("the plan is not lawful")
        seconds.append(time.perf_counter() - began)
        decide_seconds.append(decided - began)
    assert plan is not None
    seconds.sort()
    measured = {
        "seconds_p50": round(seconds[len(seconds) // 2], 4),
        "seconds_p99": round(seconds[-1], 4),
        "seconds_without_check_p50": round(sorted(decide_seconds)[len(seconds) // 2], 4),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "started": len(plan.starts),
        "earmarked": len(plan.earmarks),
        "stopped": len(plan.stops),
        "moved": len(plan.moves),
        "reserved": len(plan.reservations),
        "verdicts": len(plan.verdicts),
        "verdict_seconds_p50": verdict_seconds(plan.verdicts),
    }
    print(json.dumps({"benchmark": "round", **vars(options), **measured}))


if __name__ == "__main__":
    main()
