"""Whether a class that waits on fits beside what is reserved for others, and with which walltime it would."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from quota.admission import available, guarantee_left
from scheduler.cycle.round import Queue, Round
from scheduler.cycle.stay import NEVER_MS, Stay
from scheduler.model.shape import Topology
from scheduler.placement.pool import BoolArray


class Beside(NamedTuple):
    """What is missing where reservations stand: so many places, in a domain where one is required, or a walltime that is no
    longer than this (None: its own)."""

    missing: int
    walltime_seconds: int | None
    domain: tuple[str, ...] = ()


def fit_beside(round_: Round, queue: Queue, number: int) -> Beside | None:
    """What the head of a class lacks in a pool; a shorter walltime rather than more nodes. None: nothing helps there."""
    end_ms = _end_ms(round_, queue)
    missing = _missing(round_, queue, number, end_ms)
    kept = _is_kept(round_, queue, number, end_ms)
    if not missing and not kept:
        return Beside(0, None)
    seconds = seconds_beside(round_, queue, number)
    if seconds and not _missing(round_, queue, number, 0):
        return Beside(0, seconds)
    if not kept:
        return Beside(missing, None, _domain(round_, queue, number, end_ms))
    from_ms = _from_ms(round_, queue, number)
    seconds = _seconds_until(round_, from_ms)
    if not seconds:
        return None
    return Beside(_missing(round_, queue, number, from_ms), seconds, _domain(round_, queue, number, from_ms))


def seconds_beside(round_: Round, queue: Queue, number: int) -> int:
    """The longest walltime with which the head would fit in a pool now; 0 for none. Where it fits anyway: up to the first
    moment at which nodes are reserved for others."""
    for moment in _moments(round_, queue, number):
        if not _missing(round_, queue, number, moment) and not _is_kept(round_, queue, number, moment):
            return _seconds_until(round_, moment)
    return 0


def workers_beside(round_: Round, queue: Queue, number: int) -> int:
    """How many workers like those of the head of a class could start in a pool now: for as long as it runs, beside what is
    reserved for others and for its own group, and within what its group may have."""
    end_ms, gpu_class = _end_ms(round_, queue), round_.site_pools[number].gpu_class
    usage, later = round_.usages[gpu_class], round_.later[gpu_class]
    position = usage.tree.position(queue.group)
    gpus = available(usage, queue.group)
    if not queue.shape.preemptible:
        gpus = min(gpus, guarantee_left(usage, queue.group))
    if end_ms > later.from_ms[position] and not _is_reserved_for(round_, queue, gpu_class):
        gpus = min(gpus, int(later.room[position]))
    usable = round_.usable_by(queue, number)
    room = round_.board.workers_max(number, queue.request, usable, end_ms, own_nodes(round_, queue, number))
    return max(0, min(room, gpus // queue.request.gpus))


def own_nodes(round_: Round, queue: Queue, number: int) -> BoolArray | None:
    """Which nodes of a pool are reserved for the head of a class and for nobody else; None: none are."""
    pool, mine = round_.reserved.get(queue.head, (-1, ()))
    if pool != number:
        return None
    own = np.zeros(len(round_.site_pools[number].node_ids), np.bool_)
    own[list(mine)] = True
    for job, (other, nodes) in round_.reserved.items():
        if job != queue.head and other == number:
            own[list(nodes)] = False
    return own


def _is_reserved_for(round_: Round, queue: Queue, gpu_class: str) -> bool:
    """Whether what is reserved of a GPU class for its group is so for the head itself: for one job a group at most it is."""
    pool, _ = round_.reserved.get(queue.head, (-1, ()))
    return pool >= 0 and round_.site_pools[pool].gpu_class == gpu_class


def _moments(round_: Round, queue: Queue, number: int) -> Iterator[int]:
    """When something is reserved, the last first."""
    nodes = round_.board.nodes
    held = nodes.held_from[nodes.first[number] : nodes.first[number + 1]]
    moments = {*held.tolist(), _from_ms(round_, queue, number)} - {NEVER_MS}
    yield from sorted(moments, reverse=True)


def _missing(round_: Round, queue: Queue, number: int, end_ms: int) -> int:
    usable = round_.usable_by(queue, number)
    return max(
        0,
        queue.request.workers
        - round_.board.workers_max(number, queue.request, usable, end_ms, own_nodes(round_, queue, number)),
    )


def _domain(round_: Round, queue: Queue, number: int, end_ms: int) -> tuple[str, ...]:
    """The domain that lacks the least, where the gang has to lie within one that is more than a node; ties by name.

    More nodes of one that is a cell of others would be kept from firm work too; where all are, a domain of its own has to be.
    """
    level, pool = queue.request.loosest, round_.site_pools[number]
    if level in (Topology.SITE, Topology.NODE):
        return ()
    rooms = round_.board.rooms(
        number, queue.request, round_.usable_by(queue, number), end_ms, own_nodes(round_, queue, number)
    )
    domains = pool.pool.layout.domains_of(level)
    if not queue.shape.preemptible:
        open_to_it = ~round_.snapshot.kept_from(pool, queue.group)
        rooms = np.where(np.bincount(domains, weights=open_to_it) > 0, rooms, -1)
        if int(rooms.max(initial=-1)) < 0:
            return ()
    at = int(np.argmax(domains == int(np.argmax(rooms))))
    return round_.snapshot.nodes[pool.node_ids[at]].domain_at(level)


def _is_kept(round_: Round, queue: Queue, number: int, end_ms: int) -> bool:
    """Whether what is reserved for its own group keeps it from starting."""
    gpu_class = round_.site_pools[number].gpu_class
    later, position = round_.later[gpu_class], round_.usages[gpu_class].tree.position(queue.group)
    if _is_reserved_for(round_, queue, gpu_class):
        return False
    return bool(end_ms > later.from_ms[position] and queue.request.gpus_in_all > later.room[position])


def _from_ms(round_: Round, queue: Queue, number: int) -> int:
    gpu_class = round_.site_pools[number].gpu_class
    position = round_.usages[gpu_class].tree.position(queue.group)
    return int(round_.later[gpu_class].from_ms[position])


def _end_ms(round_: Round, queue: Queue) -> int:
    walltime_ms = queue.key.stay.walltime_ms
    return NEVER_MS if walltime_ms is None else round_.snapshot.now_ms + walltime_ms


def _seconds_until(round_: Round, moment_ms: int) -> int:
    return Stay.longest_walltime_ms(moment_ms - round_.snapshot.now_ms) // 1000
