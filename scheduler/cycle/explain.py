"""Verdicts: why a class of jobs waits, with numbers for every site, and what would start its first job.

Everything is said as things stand after the round's starts, for the head of the class alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from quota.admission import Usage, admit, guarantee_left
from quota.refusal import Refusal as QuotaRefusal
from quota.refusal import RefusalCode
from quota.tree import GPUS_MAX
from scheduler.cycle.beside import fit_beside, seconds_beside
from scheduler.cycle.lending import Told
from scheduler.cycle.lent_to import Term, gpus_kept, is_lent, opens_ms, term_in_the_way
from scheduler.cycle.plan import Counterfactual, Verdict
from scheduler.cycle.round import Queue, Round
from scheduler.cycle.snapshot import SitePool, takes_work
from scheduler.model.ids import GroupId, SiteId
from scheduler.model.reason import Number, Reason, ReasonCode, SiteReason
from scheduler.model.shape import Topology
from scheduler.model.site import Site
from scheduler.model.wall_time import moment_text
from scheduler.placement.pool import BoolArray

_CODE_OF_QUOTA = {
    RefusalCode.LIMIT_REACHED: ReasonCode.WAITING_FOR_QUOTA,
    RefusalCode.BORROWING_LIMIT_REACHED: ReasonCode.WAITING_FOR_BORROWING,
    RefusalCode.GUARANTEE_REACHED: ReasonCode.WAITING_FOR_GUARANTEE,
    RefusalCode.CAPACITY_REACHED: ReasonCode.WAITING_FOR_CAPACITY,
    RefusalCode.CAPACITY_HELD: ReasonCode.WAITING_FOR_CAPACITY,
}


def explain(round_: Round, queue: Queue) -> Verdict:
    """The verdict on what is left of a class. Where nothing is missing the next round will look at it."""
    per_site = tuple(_site_reason(round_, queue, pool) for pool in _considered(round_, queue))
    wanted = counterfactual(round_, queue)
    starts_now = wanted is not None and not wanted.asks_for_anything
    return Verdict(
        key=queue.key,
        reason=Reason(code=ReasonCode.NOT_YET_EVALUATED) if starts_now else _reason(round_, queue, per_site),
        counterfactual=None if starts_now else wanted,
        waiting=queue.waiting,
    )


def _considered(round_: Round, queue: Queue) -> Iterator[int]:
    """Every pool of a GPU class the job may run on, by site name."""
    snapshot, pools = round_.snapshot, round_.site_pools
    numbers = [number for number, pool in enumerate(pools) if pool.gpu_class in queue.candidates]
    yield from sorted(numbers, key=lambda each: (snapshot.sites[pools[each].site].name, pools[each].gpu_class))


def _site_reason(round_: Round, queue: Queue, number: int) -> SiteReason:
    snapshot, pool = round_.snapshot, round_.site_pools[number]
    site = snapshot.sites[pool.site]
    bound = queue.bound_site
    rule = snapshot.rule_against(snapshot.clearance(queue.group, queue.shape), site)
    if rule is not None:
        numbers = {"data_class": queue.shape.data_class.value, "rule": rule}
        return SiteReason(site=site.name, code=ReasonCode.DATA_CLASS_NOT_ALLOWED, numbers=numbers)
    if bound is not None and bound != site.id:
        where = {"site": _site_name(round_, bound)}
        return SiteReason(site=site.name, code=ReasonCode.WAITING_FOR_CHECKPOINT_SITE, numbers=where)
    if not takes_work(site):
        state = site.state.value if site.reachable else "unreachable"
        return SiteReason(site=site.name, code=ReasonCode.SITE_CLOSED, numbers={"site": site.name, "state": state})
    if site.id in queue.key.refused_by:
        return SiteReason(site=site.name, code=ReasonCode.REFUSED_BY_SITE, numbers={"site": site.name})
    refusal = _refused(round_, queue, pool.gpu_class)
    if refusal is not None and refusal.code is not RefusalCode.CAPACITY_REACHED and not _lends_nothing(round_, number):
        reason = _quota_reason(round_, refusal)
        return SiteReason(site=site.name, code=reason.code, numbers=reason.numbers)
    return _room(round_, queue, number)


def _room(round_: Round, queue: Queue, number: int) -> SiteReason:
    """What is missing on an open site."""
    pool, request = round_.site_pools[number], queue.request
    usable = round_.usable_by(queue, number)
    workers_max = round_.board.workers_max(number, request, usable)
    free, name = round_.board.free_gpus(number, usable), round_.snapshot.sites[pool.site].name
    if usable is not None and free < request.gpus_in_all <= round_.board.free_gpus(number):
        return _not_lent(round_, queue, number, usable)
    if free < request.gpus_in_all:
        return _too_few_free(round_, queue, number, free)
    if workers_max >= request.workers:
        seconds_max = seconds_beside(round_, queue, number)
        numbers: dict[str, Number] = {"free": free, "gpu_class": pool.gpu_class, "seconds_max": seconds_max}
        return SiteReason(site=name, code=ReasonCode.RESERVED_FOR_OTHERS, numbers=numbers)
    return SiteReason(
        site=name,
        code=ReasonCode.WAITING_FOR_NODES,
        numbers={
            "free": free,
            "workers": request.workers,
            "gpus_per_worker": request.gpus,
            "workers_max": workers_max,
            "gpu_class": pool.gpu_class,
        },
    )


def _too_few_free(round_: Round, queue: Queue, number: int, free: int) -> SiteReason:
    """Fewer GPUs are ``free`` to the head than it asks for; because of what is not lent now, or not to it, if more would do."""
    pool, asked = round_.site_pools[number], queue.request.gpus_in_all
    name, lent = round_.snapshot.sites[pool.site].name, is_lent(round_, number)
    numbers: dict[str, Number] = {"asked": asked, "free": free, "gpu_class": pool.gpu_class}
    unlent, idle = _unlent_gpus(round_, pool, lent)
    term = term_in_the_way(round_, queue, number)
    would_do = unlent > 0 and (pool.gpus < asked or free + idle >= asked)
    opens = opens_ms(round_, queue, number) if would_do else None
    if would_do and (opens is not None or term is None):
        opens_at = None if opens is None else moment_text(opens)
        more: dict[str, Number] = {"site": name, "gpus": unlent, "opens_at": opens_at}
        return SiteReason(site=name, code=ReasonCode.NOT_LENT_NOW, numbers=numbers | more)
    if term is not None and term is not Term.CELLS:
        return _not_lent_to(round_, queue, number, free)
    return SiteReason(site=name, code=ReasonCode.WAITING_FOR_CAPACITY, numbers=numbers)


def _lends_nothing(round_: Round, number: int) -> bool:
    """Whether a site has healthy nodes and lends none of them now: then guarantees that are scaled down are not the reason."""
    pool = round_.site_pools[number]
    well = pool.well is None or bool(pool.well.any())
    return well and len(pool.node_ids) > 0 and not is_lent(round_, number).any()


def _unlent_gpus(round_: Round, pool: SitePool, lent: BoolArray) -> tuple[int, int]:
    """GPUs of healthy nodes that the site lends to nobody now, and those of them that no run holds."""
    snapshot = round_.snapshot
    well = np.ones(len(lent), np.bool_) if pool.well is None else pool.well
    nodes = [pool.node_ids[at] for at in np.flatnonzero(well & ~lent).tolist()]
    held = sum(
        workers * snapshot.runs[run].gpus_per_worker
        for node in nodes
        for run in snapshot.runs_on.get(node, ())
        for at, workers in snapshot.runs[run].gang
        if at == node
    )
    gpus = sum(snapshot.nodes[node].gpus for node in nodes)
    return gpus, max(0, gpus - held)


def _not_lent_to(round_: Round, queue: Queue, number: int, free: int) -> SiteReason:
    """What is lent would do, but its terms keep the head out."""
    snapshot, pool = round_.snapshot, round_.site_pools[number]
    kept = gpus_kept(round_, queue, number)
    numbers: dict[str, Number] = {
        "site": snapshot.sites[pool.site].name,
        "gpu_class": pool.gpu_class,
        "term": max(Term, key=lambda term: kept[term]).value,
        "gpus": kept.total(),
        "asked": queue.request.gpus_in_all,
        "free": free,
    }
    return SiteReason(site=snapshot.sites[pool.site].name, code=ReasonCode.NOT_LENT_TO, numbers=numbers)


def _not_lent(round_: Round, queue: Queue, number: int, usable: BoolArray) -> SiteReason:
    """Enough is free, but what is not ``usable`` is not lent to such work, or not for long enough: the terms say which."""
    snapshot, pool = round_.snapshot, round_.site_pools[number]
    name, shape = snapshot.sites[pool.site].name, queue.shape
    sector, groups = snapshot.groups[queue.group].sector, snapshot.path(queue.group)
    assert pool.pool.terms is not None and pool.pool.until_ms is not None
    free = round_.board.free_nodes(number) & ~usable
    admitting = [
        each.serves(queue.priority) and each.lets_in(sector, shape.data_class, groups) for each in snapshot.terms
    ]
    letting_in = [shape.preemptible or each.lets_firm_in(queue.group, groups) for each in snapshot.terms]
    admitted = free & np.array(admitting, np.bool_)[pool.pool.terms]
    served = admitted & np.array(letting_in, np.bool_)[pool.pool.terms]
    numbers: dict[str, Number] = {"site": name, "gpu_class": pool.gpu_class}
    firm = np.array([each.firm for each in snapshot.terms], np.bool_)
    kept = int((admitted & firm[pool.pool.terms]).sum())
    if kept and not served.any():  # so that it is firm itself, and cells alone are in its way
        return SiteReason(site=name, code=ReasonCode.KEPT_FOR_CELLS, numbers={**numbers, "nodes": kept})
    if int(served.sum()):
        # Law 5 keeps the job from them, so that each is taken back some time.
        numbers["seconds_left"] = (int(pool.pool.until_ms[served].max()) - snapshot.now_ms) // 1000
        return SiteReason(site=name, code=ReasonCode.LENT_TOO_SHORT, numbers=numbers)
    return _not_lent_to(round_, queue, number, round_.board.free_gpus(number, usable))


def _reason(round_: Round, queue: Queue, per_site: tuple[SiteReason, ...]) -> Reason:
    """The one reason in front: quota first, since it holds whatever the site; then the site that comes closest."""
    bound = queue.bound_site
    open_pools = [pool for name in queue.candidates for pool in queue.pools.get(name, ())]
    refusing = next((each for each in per_site if each.code is ReasonCode.REFUSED_BY_SITE), None)
    if not open_pools and refusing is not None:
        return Reason(code=refusing.code, numbers=refusing.numbers, per_site=per_site)
    if not open_pools and bound is not None:
        numbers = {"site": _site_name(round_, bound)}
        return Reason(code=ReasonCode.WAITING_FOR_CHECKPOINT_SITE, numbers=numbers, per_site=per_site)
    if not open_pools:
        closed = len({each.site for each in per_site if each.code is ReasonCode.SITE_CLOSED})
        return Reason(code=ReasonCode.WAITING_FOR_SITE, numbers={"sites": closed}, per_site=per_site)
    refusal = _refused(round_, queue, round_.site_pools[open_pools[0]].gpu_class)
    shut = all(_lends_nothing(round_, pool) for pool in open_pools)
    if refusal is not None and refusal.code is not RefusalCode.CAPACITY_REACHED and not shut:
        quota = _quota_reason(round_, refusal)
        return Reason(code=quota.code, numbers=quota.numbers, per_site=per_site)
    # What is free and lent to others brings nobody closer.
    board = round_.board
    closest = max(
        open_pools, key=lambda pool: (board.free_gpus(pool, round_.usable_by(queue, pool)), board.free_gpus(pool))
    )
    room = _room(round_, queue, closest)
    return Reason(code=room.code, numbers=room.numbers, per_site=per_site)


def _refused(round_: Round, queue: Queue, gpu_class: str) -> QuotaRefusal | None:
    usage = round_.usages[gpu_class]
    inside = not queue.shape.preemptible
    answer = admit(usage, queue.group, queue.request.gpus_in_all, inside_guarantee=inside)
    return answer if isinstance(answer, QuotaRefusal) else None


def _quota_reason(round_: Round, refusal: QuotaRefusal) -> Reason:
    numbers: dict[str, Number] = dict(refusal.numbers)
    numbers["group"] = _group_path(round_, refusal.group)
    numbers["gpu_class"] = refusal.gpu_class
    return Reason(code=_CODE_OF_QUOTA[refusal.code], numbers=numbers)


def counterfactual(round_: Round, queue: Queue) -> Counterfactual | None:
    """What would start the head, at the site that needs the least; None where no site may ever serve it."""
    found = [_wanted(round_, queue, number) for number in _considered(round_, queue)]
    if not queue.shape.preemptible:
        freed = replace(queue, shape=replace(queue.shape, preemptible=True))
        found += [_wanted(round_, freed, number, freed=True) for number in _considered(round_, queue)]
    least = min((each for each in found if each is not None), key=lambda each: each[0], default=None)
    return None if least is None else least[1]


#: What a counterfactual asks for, in the order in which it is least welcome.
_Cost = tuple[bool, int, int, bool, bool, str]


def _wanted(round_: Round, queue: Queue, number: int, *, freed: bool = False) -> tuple[_Cost, Counterfactual] | None:
    """What would start the head in one pool; None where nothing does. ``freed``: it is taken to be preemptible, and is not."""
    snapshot, request, pool = round_.snapshot, queue.request, round_.site_pools[number]
    site = snapshot.sites[pool.site]
    if not _may_ever_serve(round_, queue, site):
        return None
    beside = fit_beside(round_, queue, number)
    if beside is None:
        return None
    # A gang that has to lie on one node lacks a whole node for it, whatever would fit on others.
    together = request.loosest is Topology.NODE and beside.missing > 0
    missing = request.workers if together else beside.missing
    raises = _raises(round_, queue, pool, missing)
    # More nodes would lie beside the cells of a group that has some, where its firm work is not let in.
    beside_cells = missing > 0 and queue.group in snapshot.cells.having.get(pool.gpu_class, ())
    if not queue.shape.preemptible and (
        beside_cells or _guarantee_left(round_, queue, pool, missing, raises) < request.gpus_in_all
    ):
        return None
    by_offers = missing > 0 and len(snapshot.told.get(pool.site, Told()).offers) > 0
    term = term_in_the_way(round_, queue, number) if by_offers else None
    answer = Counterfactual(
        site=site.name,
        gpu_class=pool.gpu_class,
        nodes=1 if together else missing,
        gpus_per_node=(request.gpus_in_all if together else request.gpus) if missing else 0,
        domain=beside.domain,
        raises=raises,
        preemptible=freed,
        open_site=not takes_work(site),
        walltime_seconds=beside.walltime_seconds,
        lent=by_offers,
        term=None if term is None else term.value,
        opens_ms=opens_ms(round_, queue, number) if by_offers else None,
    )
    shorter, raised = beside.walltime_seconds is not None, sum(by for _, by in raises)
    return (answer.open_site, missing * request.gpus, raised, shorter, freed, site.name), answer


def _may_ever_serve(round_: Round, queue: Queue, site: Site) -> bool:
    """Whether a site may hold the head's data and its checkpoint, and has not refused it: time alone changes that."""
    snapshot = round_.snapshot
    bound = queue.bound_site in (None, site.id) and site.id not in queue.key.refused_by
    return bound and snapshot.rule_against(snapshot.clearance(queue.group, queue.shape), site) is None


def _added(round_: Round, queue: Queue, pool: SitePool, nodes: int) -> int:
    """GPUs that the capacity would gain by ``nodes`` of the gang's kind, and by a shut site that opens."""
    added = nodes * queue.request.gpus
    if not takes_work(round_.snapshot.sites[pool.site]):
        added += max(0, pool.gpus - round_.snapshot.site_use.get((pool.site, pool.gpu_class), 0))
    return added


def _guarantee_left(
    round_: Round, queue: Queue, pool: SitePool, nodes: int, raises: tuple[tuple[str, int], ...]
) -> int:
    """What the group's guarantee would leave: one that was scaled down grows with the capacity, raises of it included."""
    usage = round_.usages[pool.gpu_class]
    added = _added(round_, queue, pool, nodes)
    if _capacity_binds(usage):
        added += dict(raises).get(_group_path(round_, int(usage.tree.group_ids[0])), 0)
    capacity = min(usage.capacity + added, GPUS_MAX)
    return guarantee_left(Usage(usage.tree, capacity, usage.own), queue.group)


def _raises(round_: Round, queue: Queue, pool: SitePool, nodes: int) -> tuple[tuple[str, int], ...]:
    """By how much each bound on the path would have to be higher, when ``nodes`` were added and a shut site open.

    Guarantees that were scaled down grow with capacity, and with them the reserves that others keep: then so much more
    capacity is needed, which is asked again until it suffices.
    """
    usage = round_.usages[pool.gpu_class]
    asked = queue.request.gpus_in_all
    known_added = added = _added(round_, queue, pool, nodes)
    grows = bool(usage.tree.reserve.any())
    while True:
        trial = Usage(usage.tree, min(usage.capacity + added, GPUS_MAX), usage.own) if grows else usage
        rooms = dict(_room_on_path(trial, queue.group))
        if not grows and _capacity_binds(trial):
            rooms[0] += added
        short = asked - rooms[0]
        if not grows or short <= 0 or not _capacity_binds(trial):
            break
        added += short
    short_of = {position: asked - room for position, room in rooms.items() if room < asked}
    if added > known_added:
        short_of[0] = added - known_added
    group_ids = usage.tree.group_ids
    return tuple((_group_path(round_, int(group_ids[position])), by) for position, by in short_of.items())


def _capacity_binds(usage: Usage) -> bool:
    return int(usage.bound[0]) == usage.capacity


def _room_on_path(usage: Usage, group: int) -> Iterator[tuple[int, int]]:
    """What each group on the path leaves free, as ``quota.admission`` counts it: idle reserves are filled first."""
    position, idle = usage.tree.position(group), 0
    while position >= 0:
        inside = int(usage.inside[position])
        yield position, int(usage.bound[position]) - inside + idle
        idle += max(int(usage.reserve[position]) - inside, 0)
        position = int(usage.tree.parent[position])


def _group_path(round_: Round, group: int) -> str:
    facts = round_.snapshot.groups.get(GroupId(group))
    return facts.path if facts is not None else str(group)


def _site_name(round_: Round, site: SiteId) -> str:
    known = round_.snapshot.sites.get(site)
    return known.name if known is not None else str(site)
