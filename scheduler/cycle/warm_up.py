"""The round's compiled loop, made ready: compiling takes seconds that no round may wait for.

``python -m scheduler.cycle.warm_up`` does it once for an installation; a scheduler does it before it leads.
"""

from __future__ import annotations

from scheduler.cycle.decide import decide
from scheduler.cycle.facts import GroupFacts, WaitingJob
from scheduler.cycle.federation import Federation
from scheduler.model.ids import GroupId, JobId, NodeId, ShapeId, SiteId
from scheduler.model.shape import DataClass, Shape, Topology
from scheduler.model.site import Node, SecurityGrade, Site, SiteState


def warm_up() -> None:
    """Decide on one job, one node and one group."""
    federation = Federation()
    group, site, shape_id = GroupId(1), SiteId(1), ShapeId(1)
    facts = GroupFacts(id=group, path="warm-up", parent=None, trust_domain="warm-up", public_sector=False)
    federation.set_groups([facts], {})
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
    federation.put_waiting([WaitingJob(id=JobId(1), group=group, shape=shape_id, priority=0, submitted_ms=0)])
    assert len(decide(federation.snapshot(), 0, 0).starts) == 1


if __name__ == "__main__":
    warm_up()
