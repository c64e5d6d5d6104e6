"""What no lender's terms will ever let in: told at submission, by the offers that were made.

An offer can be made or changed any day, and so can a quota: "never" is said of both alike, *as things are set*, and a refusal
names what would have to change. What passes by itself is no such thing. So nothing is refused for a window that is shut, a
blackout, a recall, a reservation, a cordon or a silent site; an offer that is closed or not valid now counts as if it were open,
since its lender may make it again; offers of one site count together, whether or not their windows ever meet and the site has
so many nodes. Refused is only what all offers of all sites that could hold the gang keep out: by their sectors, data classes and
priorities, by windows that are shorter than law 5 asks for, by recalls and ends where the work cannot be preempted, or by fewer
nodes than it takes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

from scheduler.cycle.lending import Told
from scheduler.cycle.snapshot import Snapshot
from scheduler.cycle.stay import NEVER_MS, Stay, Terms, may_stay
from scheduler.model.calendar import longest_spell_ms
from scheduler.model.ids import GroupId, SiteId
from scheduler.model.offer import Offer
from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.model.shape import PRIORITY_CLASSES, Shape
from scheduler.model.site import Node


def why_never_lent(
    snapshot: Snapshot,
    group: GroupId,
    shape: Shape,
    gpu_class: str,
    sites: Collection[SiteId],
    *,
    stay: Stay,
    priority: int,
) -> Refusal | None:
    """Why none of ``sites``, each of which could hold the gang, will ever lend it nodes of a class; None where one may.

    The refusal is that of the offers that came closest.
    """
    offers_of = {site: snapshot.told.get(site, Told()).offers for site in sites}
    if not all(offers_of.values()):
        return None  # one lends all it has
    made = {site: [each for each in offers if each.gpu_class == gpu_class] for site, offers in offers_of.items()}
    admitting = {
        site: [each for each in offers if _lets_in(snapshot, each, group, shape, priority)]
        for site, offers in made.items()
    }
    lasting = {
        site: [each for each in offers if _lasts(snapshot, each, shape, stay)] for site, offers in admitting.items()
    }
    held = {
        site: _workers_on(_nodes(snapshot, site, gpu_class), shape, sum(each.nodes for each in offers))
        for site, offers in lasting.items()
    }
    if any(workers >= shape.workers for workers in held.values()):
        return None
    if any(lasting.values()):
        return refuse(
            ReasonCode.TOO_FEW_LENT,
            field="workers",
            workers=shape.workers,
            gpus_per_worker=shape.gpus_per_worker,
            workers_max=max(held.values()),
            gpu_class=gpu_class,
        )
    let_in = [each for offers in admitting.values() for each in offers]
    if let_in:
        return _too_short(let_in, shape, stay, gpu_class)
    sector = snapshot.groups[group].sector
    return refuse(
        ReasonCode.NEVER_LENT_TO,
        field="gpu_classes",
        gpu_class=gpu_class,
        sites=len(sites),
        offers=sum(map(len, made.values())),
        sector="-" if sector is None else sector.value,
        data_class=shape.data_class.value,
        priority=next((name for name, each in PRIORITY_CLASSES.items() if each == priority), str(priority)),
    )


def _terms(offer: Offer) -> tuple[Terms, int]:
    """An offer's terms, and for how long it may lend at a stretch (ms, ``NEVER_MS`` for ever)."""
    longest_ms = longest_spell_ms(offer.calendar)
    endless = longest_ms is None and offer.calendar.valid_until is None
    lasts_ms = NEVER_MS if endless else NEVER_MS - 1 if longest_ms is None else longest_ms
    return Terms.of(offer, endless=endless), lasts_ms


def _lets_in(snapshot: Snapshot, offer: Offer, group: GroupId, shape: Shape, priority: int) -> bool:
    terms, _ = _terms(offer)
    return terms.serves(priority) and terms.lets_in(
        snapshot.groups[group].sector, shape.data_class, snapshot.path(group)
    )


def _lasts(snapshot: Snapshot, offer: Offer, shape: Shape, stay: Stay) -> bool:
    terms, lasts_ms = _terms(offer)
    minimum_run_ms = snapshot.preemption.minimum_run_ms
    return may_stay(terms, lasts_ms, stay, preemptible=shape.preemptible, now_ms=0, minimum_run_ms=minimum_run_ms)


def _too_short(offers: Collection[Offer], shape: Shape, stay: Stay, gpu_class: str) -> Refusal:
    if not shape.preemptible:
        return refuse(ReasonCode.ONLY_RECALLABLE, field="preemptible", gpu_class=gpu_class, offers=len(offers))
    longest_ms = max(_terms(each)[1] for each in offers)
    return refuse(
        ReasonCode.WINDOWS_TOO_SHORT,
        field="walltime",
        gpu_class=gpu_class,
        offers=len(offers),
        walltime="-" if stay.walltime_ms is None else stay.walltime_ms // 1000,
        longest_seconds=longest_ms // 1000,
        seconds_max=Stay.longest_walltime_ms(longest_ms) // 1000,
    )


def _nodes(snapshot: Snapshot, site: SiteId, gpu_class: str) -> Iterable[Node]:
    return (snapshot.nodes[each] for each in snapshot.pools[site, gpu_class].node_ids)


def _workers_on(nodes: Iterable[Node], shape: Shape, count: int) -> int:
    """How many workers ``count`` nodes hold when empty, in one domain of the required level, whichever nodes they are."""
    by_domain: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for node in nodes:
        by_domain[node.domain_at(shape.required)].append(
            min(
                node.gpus // shape.gpus_per_worker,
                node.cpus // shape.cpus_per_worker,
                node.memory_mib // shape.memory_mib_per_worker,
            )
        )
    return max((sum(sorted(each, reverse=True)[:count]) for each in by_domain.values()), default=0)
