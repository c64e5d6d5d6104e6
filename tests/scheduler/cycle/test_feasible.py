"""What can never run is refused with the reason that helps: that of the GPU class which came closest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from federations import Facts, build

from quota.tree import Quota
from scheduler.cycle.feasible import why_never
from scheduler.model.ids import GroupId, NodeId, ShapeId, SiteId
from scheduler.model.reason import ReasonCode
from scheduler.model.shape import DataClass, Shape, Topology
from scheduler.model.site import Node, SecurityGrade, Site, SiteState

GROUP = GroupId(4)
SITE = Site(
    id=SiteId(1), name="site-1", state=SiteState.ACTIVE, security=SecurityGrade(trust_domain="one"), reachable=True
)
SHAPE = Shape(
    workers=1,
    gpus_per_worker=1,
    cpus_per_worker=1,
    memory_mib_per_worker=1,
    gpu_classes=(),
    topology=Topology.ANY,
    data_class=DataClass.OPEN,
    preemptible=True,
)


def node(number: int, gpu_class: str) -> Node:
    return Node(
        id=NodeId(number),
        site_id=SITE.id,
        name=f"node-{number}",
        pool="pool",
        gpu_class=gpu_class,
        gpus=8,
        cpus=16,
        memory_mib=64,
        domain=(),
        healthy=True,
    )


NODES = (node(1, "a100"), node(2, "h100"), node(3, "h100"))


def refused(nodes: tuple[Node, ...] = NODES, quotas: Any = None, **asked: Any) -> tuple[ReasonCode, dict[str, Any]]:
    shape = replace(SHAPE, **asked)
    facts = Facts(quotas or {}, (SITE,), nodes, {ShapeId(1): shape}, ())
    refusal = why_never(build(facts).snapshot(), GROUP, shape)
    assert refusal is not None
    reason = refusal.reasons[0]
    return reason.code, {"field": reason.field, **reason.numbers}


def test_the_class_with_the_most_gpus_is_named_when_all_have_too_few() -> None:
    code, numbers = refused(workers=4, gpus_per_worker=8)
    assert (code, numbers["gpu_class"], numbers["capacity"]) == (ReasonCode.EXCEEDS_CAPACITY, "h100", 16)


def test_what_a_node_has_too_little_of_is_named_with_the_most_that_one_has() -> None:
    for field, asked in (("gpus_per_worker", 9), ("cpus_per_worker", 17), ("memory_mib_per_worker", 65)):
        code, numbers = refused(**{field: asked})
        expected = field.replace("_mib", "")
        assert (code, numbers["field"], numbers["asked"]) == (ReasonCode.NO_NODE_FITS, expected, asked)
        assert numbers["largest"] == asked - 1


def test_a_class_that_only_a_quota_names_is_no_class_to_run_on() -> None:
    quotas = {(GROUP, "b200"): Quota(guaranteed=0)}
    code, numbers = refused(quotas=quotas, gpu_classes=("b200",))
    assert (code, numbers["known"]) == (ReasonCode.UNKNOWN_GPU_CLASS, "a100, h100")
    assert refused(quotas=quotas, workers=9, gpus_per_worker=8)[1]["gpu_class"] == "h100"


def test_without_any_site_that_is_said() -> None:
    assert refused(nodes=()) == (ReasonCode.NO_GPUS, {"field": "gpu_classes"})


def test_data_that_no_site_may_serve_is_told_before_what_would_not_fit_either() -> None:
    assert refused(data_class=DataClass.CLASSIFIED)[0] is ReasonCode.DATA_CLASS_NOT_ALLOWED


def test_a_gang_larger_than_any_site_is_told_how_many_workers_one_holds() -> None:
    code, numbers = refused(workers=3, gpus_per_worker=5)
    assert (code, numbers["workers_max"]) == (ReasonCode.NO_SITE_FITS, 2)


def test_a_gang_that_no_domain_of_its_required_level_holds_is_told_the_largest_one() -> None:
    leaves = tuple(
        replace(node(number, "h100"), domain=("hall", "spine", f"leaf-{number % 2}")) for number in range(1, 4)
    )
    asked = {"workers": 3, "gpus_per_worker": 8, "gpu_classes": ("h100",), "required": Topology.LEAF}
    code, numbers = refused(leaves, **asked)
    assert (code, numbers["level"], numbers["workers_max"]) == (ReasonCode.NO_DOMAIN_FITS, "leaf", 2)
    assert refused(leaves, **(asked | {"workers": 4}))[0] is ReasonCode.EXCEEDS_CAPACITY
    facts = Facts({}, (SITE,), leaves, {ShapeId(1): replace(SHAPE, **asked)}, ())
    spine = replace(SHAPE, **(asked | {"required": Topology.SPINE}))
    assert why_never(build(facts).snapshot(), GROUP, spine) is None


def test_no_gang_may_want_more_of_a_leaf_than_its_block_has() -> None:
    rack = tuple(replace(node(number, "h100"), domain=("hall", "spine", "rack")) for number in range(1, 5))
    asked = replace(SHAPE, workers=4, gpus_per_worker=8)
    site = replace(SITE, block_nodes={"h100": 3})
    whole, spared = (Facts({}, (each,), rack, {ShapeId(1): asked}, ()) for each in (SITE, site))
    assert why_never(build(whole).snapshot(), GROUP, asked) is None
    refusal = why_never(build(spared).snapshot(), GROUP, asked)
    assert refusal is not None
    assert refusal.reasons[0].code is ReasonCode.EXCEEDS_CAPACITY
    assert refusal.reasons[0].numbers["capacity"] == 24
