"""What can never run as things are set: told at submission, with the numbers, instead of waiting for ever."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from quota.admission import ceiling
from scheduler.cycle.never_lent import why_never_lent
from scheduler.cycle.snapshot import Snapshot
from scheduler.cycle.spares import at_work_at_most
from scheduler.cycle.stay import ANY_STAY, Stay
from scheduler.model.ids import GroupId, SiteId
from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.model.shape import Shape, Topology
from scheduler.model.site import Node


def why_never(
    snapshot: Snapshot, group: GroupId, shape: Shape, *, stay: Stay = ANY_STAY, priority: int = 0
) -> Refusal | None:
    """Why no site could ever run the gang for the group, or None where one could.

    Looks at declared capacity, quotas, data classes and lenders' offers alone: not at what is used, healthy, open or heard.
    ``never_lent`` says what is held against an offer.
    """
    offered = snapshot.offered_classes
    if not offered:
        return refuse(ReasonCode.NO_GPUS, field="gpu_classes")
    unknown = [name for name in shape.gpu_classes if name not in offered]
    if shape.gpu_classes and len(unknown) == len(shape.gpu_classes):
        names = ", ".join(unknown)
        return refuse(ReasonCode.UNKNOWN_GPU_CLASS, field="gpu_classes", gpu_class=names, known=", ".join(offered))
    refusals = []
    for name in snapshot.candidates(shape):
        refusal = _why_never_on(snapshot, group, shape, name, stay, priority) if name in offered else None
        if refusal is None and name in offered:
            return None
        if refusal is not None:
            refusals.append(refusal)
    return max(refusals, key=_closeness)


#: What is mended most easily comes last: the refusal of the class that came closest is the one that helps.
_CLOSER = (
    ReasonCode.EXCEEDS_CAPACITY,
    ReasonCode.EXCEEDS_LIMIT,
    ReasonCode.NO_SITE_FITS,
    ReasonCode.TOO_FEW_LENT,
    ReasonCode.NO_DOMAIN_FITS,
    ReasonCode.NO_NODE_FITS,
    ReasonCode.DATA_CLASS_NOT_ALLOWED,
    ReasonCode.NEVER_LENT_TO,
    ReasonCode.EXCEEDS_GUARANTEE,
    ReasonCode.ONLY_RECALLABLE,
    ReasonCode.WINDOWS_TOO_SHORT,
)
#: What came closest of refusals of one kind has most of this.
_BOUNDS = ("capacity", "limit", "largest", "guaranteed", "longest_seconds")


def _closeness(refusal: Refusal) -> tuple[int, int]:
    reason = refusal.reasons[0]
    bound = next((reason.numbers[name] for name in _BOUNDS if name in reason.numbers), 0)
    return _CLOSER.index(reason.code), int(bound or 0)


def _why_never_on(
    snapshot: Snapshot, group: GroupId, shape: Shape, gpu_class: str, stay: Stay, priority: int
) -> Refusal | None:
    quotas = snapshot.tree.of_class(gpu_class)
    bound = ceiling(quotas, group)
    if bound is not None and shape.gpus > bound:
        return refuse(
            ReasonCode.EXCEEDS_LIMIT,
            field="workers",
            asked=shape.gpus,
            group=snapshot.groups[group].path,
            gpu_class=gpu_class,
            limit=max(bound, 0),
        )
    guaranteed = int(quotas.guaranteed[quotas.position(group)])
    if not shape.preemptible and shape.gpus > guaranteed:
        return refuse(
            ReasonCode.EXCEEDS_GUARANTEE,
            field="preemptible",
            asked=shape.gpus,
            group=snapshot.groups[group].path,
            gpu_class=gpu_class,
            guaranteed=guaranteed,
        )
    of_class = (
        node for node in snapshot.nodes.values() if node.gpu_class == gpu_class and node.site_id in snapshot.sites
    )
    nodes = at_work_at_most(of_class, snapshot.sites)
    by_site = _workers_by_site(nodes, shape)
    capacity = sum(node.gpus for node in nodes)
    if shape.gpus > capacity:
        return refuse(
            ReasonCode.EXCEEDS_CAPACITY, field="workers", asked=shape.gpus, gpu_class=gpu_class, capacity=capacity
        )
    clearance = snapshot.clearance(group, shape)
    rules = {site: snapshot.rule_against(clearance, snapshot.sites[site]) for site in by_site}
    served = {site: workers for site, workers in by_site.items() if rules[site] is None}
    if by_site and not served:
        rule = min(rule for rule in rules.values() if rule is not None)
        return refuse(
            ReasonCode.DATA_CLASS_NOT_ALLOWED, field="data_class", data_class=shape.data_class.value, rule=rule
        )
    workers_max = max(served.values(), default=0)
    if workers_max == 0:
        too_much = _too_much_for_a_node([node for node in nodes if node.site_id in served], shape, gpu_class)
        if too_much is not None:
            return too_much
    anywhere = _workers_by_site(nodes, replace(shape, required=Topology.ANY))
    if workers_max < shape.workers <= max((anywhere[site] for site in served), default=0):
        return refuse(
            ReasonCode.NO_DOMAIN_FITS,
            field="topology",
            level=shape.required.value,
            workers=shape.workers,
            gpus_per_worker=shape.gpus_per_worker,
            workers_max=workers_max,
        )
    if workers_max < shape.workers:
        return refuse(
            ReasonCode.NO_SITE_FITS,
            field="workers",
            workers=shape.workers,
            gpus_per_worker=shape.gpus_per_worker,
            workers_max=workers_max,
        )
    roomy = [site for site, workers in served.items() if workers >= shape.workers]
    return why_never_lent(snapshot, group, shape, gpu_class, roomy, stay=stay, priority=priority)


def _workers_by_site(nodes: Iterable[Node], shape: Shape) -> dict[SiteId, int]:
    """How many workers each site that has any of the nodes could hold when empty, in one domain of the required level."""
    found: defaultdict[SiteId, Counter[tuple[str, ...]]] = defaultdict(Counter)
    for node in nodes:
        found[node.site_id][node.domain_at(shape.required)] += min(
            node.gpus // shape.gpus_per_worker,
            node.cpus // shape.cpus_per_worker,
            node.memory_mib // shape.memory_mib_per_worker,
        )
    return {site: max(by_domain.values()) for site, by_domain in found.items()}


def _too_much_for_a_node(nodes: Sequence[Node], shape: Shape, gpu_class: str) -> Refusal | None:
    """The one resource of which no node has enough for a worker; None where each has been found somewhere."""
    asked_of = (
        ("gpus_per_worker", "GPUs", shape.gpus_per_worker, max((node.gpus for node in nodes), default=0)),
        ("cpus_per_worker", "CPUs", shape.cpus_per_worker, max((node.cpus for node in nodes), default=0)),
        ("memory_per_worker", "MiB", shape.memory_mib_per_worker, max((node.memory_mib for node in nodes), default=0)),
    )
    for field, resource, asked, largest in asked_of:
        if asked > largest:
            return refuse(
                ReasonCode.NO_NODE_FITS,
                field=field,
                resource=resource,
                asked=asked,
                largest=largest,
                gpu_class=gpu_class,
            )
    return None
