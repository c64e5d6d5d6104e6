"""The round's compiled loops, made ready: compiling takes seconds that no round may wait for.

``python -m scheduler.cycle.warm_up`` does it once for an installation; a scheduler does it before it leads.
"""

from __future__ import annotations

from dataclasses import replace

from quota.tree import Quota
from scheduler.cycle.decide import decide
from scheduler.cycle.facts import GroupFacts, LiveRun, PreemptionRules, WaitingJob
from scheduler.cycle.federation import Federation
from scheduler.cycle.movable import MovableRuns
from scheduler.cycle.round import Round
from scheduler.model.ids import GroupId, JobId, NodeId, RunId, ShapeId, SiteId
from scheduler.model.shape import DataClass, Shape, Topology
from scheduler.model.site import Node, SecurityGrade, Site, SiteState


def warm_up() -> None:
    """Start the only job on the only node, then have it make way for the one to whom the node is guaranteed, and look whether it
    could be moved."""
    federation = Federation(preemption=PreemptionRules(minimum_run_ms=0))
    root, group, other, site, shape_id = GroupId(1), GroupId(2), GroupId(3), SiteId(1), ShapeId(1)
    facts = [
        GroupFacts(id=each, path=f"warm-up-{each}", parent=parent, trust_domain="warm-up", public_sector=False)
        for each, parent in ((root, None), (group, root), (other, root))
    ]
    federation.set_groups(facts, {(other, "any"): Quota(guaranteed=2)})
    security = SecurityGrade(trust_domain="warm-up")
    federation.put_site(Site(id=site, name="warm-up", state=SiteState.ACTIVE, security=security, reachable=True))
    node = Node(
        id=NodeId(1),
        site_id=site,
        name="warm-up",
        pool="warm-up",
        gpu_class="any",
        gpus=2,
        cpus=2,
        memory_mib=2,
        domain=(),
        healthy=True,
    )
    federation.put_node(node)
    shape = Shape(
        workers=2,
        gpus_per_worker=1,
        cpus_per_worker=1,
        memory_mib_per_worker=1,
        gpu_classes=(),
        topology=Topology.ANY,
        data_class=DataClass.OPEN,
        preemptible=True,
    )
    federation.put_shape(shape_id, shape)
    job = WaitingJob(id=JobId(1), group=group, shape=shape_id, priority=0, submitted_ms=0)
    federation.put_waiting([job])
    (start,) = decide(federation.snapshot(), 0).starts
    federation.drop_waiting(start.job)
    gang = tuple([(node_id, workers) for node_id, _, _, workers in start.gang])
    federation.put_run(
        LiveRun(
            id=RunId(1),
            job=start.job,
            group=group,
            site=site,
            gpu_class="any",
            gpus_per_worker=shape.gpus_per_worker,
            cpus_per_worker=shape.cpus_per_worker,
            memory_mib_per_worker=shape.memory_mib_per_worker,
            gang=gang,
        )
    )
    federation.put_waiting([replace(job, id=JobId(2), group=other)])
    snapshot = federation.snapshot()
    assert len(decide(snapshot, 0).stops) == 1
    MovableRuns(Round(snapshot), frozenset()).of(0)


if __name__ == "__main__":
    warm_up()
