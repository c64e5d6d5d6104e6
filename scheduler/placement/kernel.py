"""The round's inner loop, compiled: whose turn it is, whether its quota allows it, and which nodes it gets.

Arrays in, arrays out. What each part computes is said, as plain Python, by ``quota.order`` and ``quota.admission`` (turns and
quotas) and by ``placement.oracle`` (nodes); property tests hold them together. Everything is one file because compiled
code that is kept is told stale by its file.

Nodes of all pools stand one pool after the other, inside a pool by name. Nodes with the same number of free GPUs are
found by a count and a hint, the lowest index where one may stand, so that one worker is placed without looking at the others.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from quota.compiled import compiled
from scheduler.placement.arrays import (
    DOMAIN_LEVELS,
    FREE_GPU_COST,
    HALL,
    LEAF,
    NODE,
    SITE,
    Classes,
    Later,
    Lending,
    Need,
    Nodes,
    Quotas,
    Starts,
)


@compiled
def room_in(free: int, free_cpus: int, free_memory: int, gpus: int, cpus: int, memory: int) -> int:
    """Workers that fit where so much is free."""
    room = free // gpus
    if cpus > 0:
        room = min(room, free_cpus // cpus)
    if memory > 0:
        room = min(room, free_memory // memory)
    return int(max(room, 0))


@compiled
def may_use(nodes: Nodes, node: int, need: Need) -> bool:
    """Whether a node is lent to such a gang for long enough: ``cycle.stay`` for one node."""
    terms, until = nodes.terms[node], nodes.until[node]
    if not need.lets[terms] or need.priority < need.floor[terms] or (need.firm and not need.firm_terms[terms]):
        return False
    if need.end <= until:
        return True
    return bool(not need.firm and need.least >= 0 and until - need.now >= max(need.least, need.hold[terms]))


@compiled
def spare_on(nodes: Nodes, node: int, end: int, gpus: int, cpus: int, memory: int) -> int:
    """Workers that may be on a node until ``end`` beside those for whom it is reserved."""
    if end <= nodes.held_from[node]:
        return int(nodes.gpus[node] // gpus)
    return room_in(nodes.spare[0, node], nodes.spare[1, node], nodes.spare[2, node], gpus, cpus, memory)


@compiled
def suits(nodes: Nodes, pool: int, node: int, gpus: int, cpus: int, memory: int, need: Need) -> bool:
    """Whether so much of a node that has it free may be had by such a gang."""
    if need.checks and not nodes.plain[pool] and not may_use(nodes, node, need):
        return False
    return not nodes.held[pool] or spare_on(nodes, node, need.end, gpus, cpus, memory) > 0


@compiled
def suits_anyone(nodes: Nodes, pool: int, need: Need) -> bool:
    """Whether all that is free in a pool may be had by such a gang, so that nobody need ask ``suits``, a dear call."""
    return bool(not nodes.held[pool] and (nodes.plain[pool] or not need.checks))


@compiled
def crowding(gpus: int, cpus: int, memory: int, share_cpus: int, share_memory: int) -> int:
    """``oracle.crowding``."""
    enough, most = 1000 * gpus, 1000 * gpus
    if gpus * share_cpus > 1000 * cpus:  # most nodes are not crowded: a division would cost more than the rest
        most = max(most, gpus * gpus * share_cpus // max(cpus, 1))
    if gpus * share_memory > 1000 * memory:
        most = max(most, gpus * gpus * share_memory // max(memory, 1))
    return int(most - enough)


@compiled
def cost_of(
    free: int, free_cpus: int, free_memory: int, gpus: int, cpus: int, memory: int, share_cpus: int, share_memory: int
) -> int:
    """``oracle.cost`` of so much where so much is free. Only numbers go in: a call with ``Nodes`` takes longer than the rest."""
    before = crowding(free, free_cpus, free_memory, share_cpus, share_memory)
    after = crowding(free - gpus, free_cpus - cpus, free_memory - memory, share_cpus, share_memory)
    return int(after - before + FREE_GPU_COST * (free - gpus))


@compiled
def best_node(nodes: Nodes, pool: int, gpus: int, cpus: int, memory: int, need: Need) -> int:
    """Of the first nodes that hold so much, one for each number of free GPUs, that of the least cost; -1 for none."""
    anyone = suits_anyone(nodes, pool, need)
    least, best = 1 << 62, -1
    for free in range(gpus, nodes.count.shape[1]):
        if nodes.count[pool, free] == 0:
            continue
        seen, left = False, nodes.count[pool, free]
        for node in range(nodes.hint[pool, free], nodes.first[pool + 1]):
            if nodes.gpus[node] != free:
                continue
            if not seen:
                nodes.hint[pool, free] = node
                seen = True
            free_cpus, free_memory = nodes.cpus[node], nodes.memory[node]
            fits = free_cpus >= cpus and free_memory >= memory
            if fits and (anyone or suits(nodes, pool, node, gpus, cpus, memory, need)):
                share_cpus, share_memory = nodes.share[0, node], nodes.share[1, node]
                cost = cost_of(free, free_cpus, free_memory, gpus, cpus, memory, share_cpus, share_memory)
                if cost < least:
                    least, best = cost, node
                break
            left -= 1
            if left == 0:
                break
    return best


@compiled
def fill_leaf(nodes: Nodes, useful: Any, rooms: Any, workers: int, starts: Starts, parts: int) -> int:
    """Put workers on as few of ``useful`` (indices, ascending) as can be, which hold them; answer the parts with those before.

    Most room first, ties by fewer free GPUs, then name; the last part goes to the fewest free GPUs that hold it.
    """
    width, found = nodes.count.shape[1], len(useful)
    keys = (rooms.max() - rooms) * width + nodes.gpus[useful]
    ends = np.zeros(keys.max() + 2, np.int64)
    for key in keys:
        ends[key + 1] += 1
    ends = np.cumsum(ends)
    order = np.empty(found, np.int64)
    for each in range(found):
        order[ends[keys[each]]] = each
        ends[keys[each]] += 1
    at, left, turn = starts.size[1], workers, 0
    while rooms[order[turn]] < left:
        each = order[turn]
        starts.node[at + parts], starts.workers[at + parts] = useful[each], rooms[each]
        left -= rooms[each]
        parts += 1
        turn += 1
    last = order[turn]
    while turn < found and rooms[order[turn]] >= left:
        each = order[turn]
        if (nodes.gpus[useful[each]], each) < (nodes.gpus[useful[last]], last):
            last = each
        turn += 1
    starts.node[at + parts], starts.workers[at + parts] = useful[last], left
    return parts + 1


@compiled
def part_for(nodes: Nodes, parts: Any, rooms: Any, workers: int) -> tuple[int, bool]:
    """Of the domains ``parts`` (one for each of ``rooms``, which a domain has in all) the one with the fewest free GPUs that
    holds so many workers, and True; where none does the one with most room. Ties by fewer free GPUs, then by name.
    """
    lowest = parts.min()
    room = np.zeros(parts.max() + 1 - lowest, np.int64)
    for each in range(len(parts)):
        room[parts[each] - lowest] += rooms[each]
    tight, widest = -1, 0
    for each in range(len(room)):
        free = nodes.domain_free[lowest + each]
        if room[each] >= workers and (tight < 0 or free < nodes.domain_free[lowest + tight]):
            tight = each
        fewer = room[each] == room[widest] and free < nodes.domain_free[lowest + widest]
        if room[each] > room[widest] or fewer:
            widest = each
    return lowest + (widest if tight < 0 else tight), tight >= 0


@compiled
def fill(
    nodes: Nodes,
    pool: int,
    level: int,
    among: Any,
    workers: int,
    gpus: int,
    cpus: int,
    memory: int,
    need: Need,
    starts: Starts,
) -> int:
    """Put a gang into a domain of a level, all of whose nodes are ``among`` (indices, ascending); answer the parts, 0 where it
    does not fit.

    As long as no part of the domain at the next tighter level holds what is left, that with most room is taken whole; then
    the tightest that does is filled alike, down to a leaf.
    """
    anyone = suits_anyone(nodes, pool, need)
    useful = np.empty(len(among), np.int64)
    rooms = np.empty(len(among), np.int64)
    found, in_all = 0, 0
    for node in among:
        room = room_in(nodes.gpus[node], nodes.cpus[node], nodes.memory[node], gpus, cpus, memory)
        if room > 0 and (anyone or suits(nodes, pool, node, gpus, cpus, memory, need)):
            if nodes.held[pool]:
                room = min(room, spare_on(nodes, node, need.end, gpus, cpus, memory))
            useful[found], rooms[found] = node, room
            found += 1
            in_all += room
    if in_all < workers:
        return 0
    useful, rooms = useful[:found], rooms[:found]
    at, parts, left = starts.size[1], 0, workers
    while level > LEAF:
        inside = nodes.domain[level - 1 - LEAF][useful]
        part, holds = part_for(nodes, inside, rooms, left)
        if holds:
            level -= 1
        else:
            for each in np.flatnonzero(inside == part):
                starts.node[at + parts], starts.workers[at + parts] = useful[each], rooms[each]
                left -= rooms[each]
                parts += 1
        kept = (inside == part) if holds else (inside != part)
        useful, rooms = useful[kept], rooms[kept]
    return fill_leaf(nodes, useful, rooms, left, starts, parts)


@compiled
def fill_domain(
    nodes: Nodes, pool: int, level: int, workers: int, gpus: int, cpus: int, memory: int, need: Need, starts: Starts
) -> int:
    """``fill`` the domain of a level with the fewest free GPUs that holds the gang, ties by name."""
    lowest, highest = nodes.domains_of[level - LEAF, pool], nodes.domains_of[level - LEAF, pool + 1]
    tried_free, tried = -1, -1
    while True:
        best = -1
        for domain in range(lowest, highest):
            free = nodes.domain_free[domain]
            if free < workers * gpus or (free, domain) <= (tried_free, tried):
                continue
            if best < 0 or free < nodes.domain_free[best]:
                best = domain
        if best < 0:
            return 0
        members = nodes.members[nodes.member_first[best] : nodes.member_first[best + 1]]
        parts = fill(nodes, pool, level, members, workers, gpus, cpus, memory, need, starts)
        if parts > 0:
            return parts
        tried_free, tried = nodes.domain_free[best], best


@compiled
def place(
    nodes: Nodes, pool: int, level: int, workers: int, gpus: int, cpus: int, memory: int, need: Need, starts: Starts
) -> int:
    """Find nodes in one domain of ``level`` or of a tighter one, the tightest first: parts behind those in ``starts``, whose
    number is answered; 0 for none."""
    if nodes.pool_free[pool] < workers * gpus:
        return 0
    node = best_node(nodes, pool, workers * gpus, workers * cpus, workers * memory, need)
    if node >= 0:
        starts.node[starts.size[1]], starts.workers[starts.size[1]] = node, workers
        return 1
    if workers == 1 or level == NODE:
        return 0
    room = 0
    for free in range(gpus, nodes.count.shape[1]):
        room += nodes.count[pool, free] * (free // gpus)
    if room < workers:
        return 0
    domains = -1
    for each in range(LEAF, min(level, HALL) + 1):
        before, domains = domains, nodes.domains_of[each - LEAF, pool + 1] - nodes.domains_of[each - LEAF, pool]
        if domains == before:
            continue  # the same domains as at the level before
        parts = fill_domain(nodes, pool, each, workers, gpus, cpus, memory, need, starts)
        if parts > 0:
            return parts
    if level < SITE or domains == 1:
        return 0
    among = np.arange(nodes.first[pool], nodes.first[pool + 1])
    return fill(nodes, pool, SITE, among, workers, gpus, cpus, memory, need, starts)


@compiled
def take(nodes: Nodes, pool: int, node: int, gpus: int, cpus: int, memory: int) -> None:
    """Hold so much of a node."""
    before = nodes.gpus[node]
    left = before - gpus
    nodes.gpus[node] = left
    nodes.cpus[node] -= cpus
    nodes.memory[node] -= memory
    nodes.pool_free[pool] -= gpus
    nodes.count[pool, before] -= 1
    nodes.count[pool, left] += 1
    nodes.hint[pool, left] = node if nodes.count[pool, left] == 1 else min(nodes.hint[pool, left], node)
    for level in range(DOMAIN_LEVELS):
        nodes.domain_free[nodes.domain[level, node]] -= gpus


@compiled
def available(quotas: Quotas, position: int) -> int:
    """``quota.admission.available``."""
    best, idle = quotas.bound[0] * 2 + (1 << 60), 0
    while position >= 0:
        inside = quotas.inside[position]
        best = min(best, quotas.bound[position] - inside + idle)
        idle += max(quotas.reserve[position] - inside, 0)
        position = quotas.parent[position]
    return int(best)


@compiled
def charge(quotas: Quotas, position: int, gpus: int) -> None:
    """``quota.admission.Usage.charge``."""
    quotas.own[position] += gpus
    added = gpus
    while position >= 0:
        quotas.used[position] += gpus
        before, reserve = quotas.inside[position], quotas.reserve[position]
        quotas.inside[position] = before + added
        added = max(before + added, reserve) - max(before, reserve)
        position = quotas.parent[position]


@compiled
def turn_of(quotas: Quotas, position: int) -> tuple[int, int, float, int, int]:
    """``quota.order.turn_key``."""
    rank, at = 2, position
    while at > 0:
        if quotas.used[at] < quotas.guaranteed[at]:
            rank = 0 if at == position else 1
            if rank == 0:
                break
        at = quotas.parent[at]
    own, share = quotas.own[position], quotas.share[position]
    standing = quotas.standing_rank[position] if own >= share else -1
    return rank, standing, own / share if share > 0 else np.inf, own, quotas.path_rank[position]


@compiled
def earlier(classes: Classes, one: int, other: int) -> bool:
    """Whether the head of class ``one`` comes before that of ``other``."""
    a, b = classes.next[one], classes.next[other]
    if classes.minus_priority[a] != classes.minus_priority[b]:
        return bool(classes.minus_priority[a] < classes.minus_priority[b])
    if classes.submitted[a] != classes.submitted[b]:
        return bool(classes.submitted[a] < classes.submitted[b])
    return bool(classes.job[a] < classes.job[b])


@compiled
def sink_row(classes: Classes, heap: Any, first: int, size: int, at: int) -> None:
    """Restore a group's heap of rows, heads in front, below ``at``."""
    while True:
        child = 2 * at + 1
        if child >= size:
            return
        if child + 1 < size and earlier(classes, heap[first + child + 1], heap[first + child]):
            child += 1
        if not earlier(classes, heap[first + child], heap[first + at]):
            return
        heap[first + at], heap[first + child] = heap[first + child], heap[first + at]
        at = child


@compiled
def sink_group(keys: list[tuple[int, int, float, int, int]], heap: Any, size: int, at: int) -> None:
    """Restore the heap of groups, the one whose turn it is in front, below ``at``."""
    while True:
        child = 2 * at + 1
        if child >= size:
            return
        if child + 1 < size and keys[heap[child + 1]] < keys[heap[child]]:
            child += 1
        if not keys[heap[child]] < keys[heap[at]]:
            return
        heap[at], heap[child] = heap[child], heap[at]
        at = child


@compiled
def take_spare(nodes: Nodes, node: int, end: int, gpus: int, cpus: int, memory: int) -> None:
    """Hold so much of a node until ``end``, which those for whom it is reserved do not have then."""
    if end > nodes.held_from[node]:
        nodes.spare[0, node] -= gpus
        nodes.spare[1, node] -= cpus
        nodes.spare[2, node] -= memory


@compiled
def start_head(
    nodes: Nodes,
    quotas: Quotas,
    later: Later,
    classes: Classes,
    lending: Lending,
    row: int,
    pools: Any,
    failed: Any,
    starts: Starts,
) -> bool:
    """Start the first job of a class where quota and nodes allow it, at the tightest level that any pool has.

    ``pools`` are those of its venue by site name; of pools that hold it the one with the fewest free GPUs is taken.
    ``failed`` (2, alike) keeps the venue and the priority with which such a gang was tried in vain: a round only takes, so
    what failed stays failed, and a lower priority is let in nowhere else.
    """
    position, workers, gpus = classes.position[row], classes.workers[row], classes.gpus[row]
    cpus, memory, asked = classes.cpus[row], classes.memory[row], workers * gpus
    stays = classes.end[row] > later.from_ms[position]
    if stays and asked > later.room[position]:
        return False
    if classes.firm[row] and asked > quotas.guaranteed[position] - quotas.used[position]:
        return False
    alike, venue, priority = classes.alike[row], classes.venue[row], -classes.minus_priority[classes.next[row]]
    if asked > available(quotas, position) or (failed[0, alike] == venue and priority <= failed[1, alike]):
        return False
    need = Need(
        True,
        classes.firm[row] != 0,
        priority,
        lending.now,
        classes.end[row],
        classes.least[row],
        lending.lets[venue],
        lending.floor,
        lending.hold,
        lending.firm_terms[venue],
    )
    order = np.empty(len(pools), np.int64)
    found = 0
    for pool in pools:
        free = nodes.pool_free[pool]
        if free >= asked:
            at = found
            while at > 0 and nodes.pool_free[order[at - 1]] > free:
                order[at] = order[at - 1]
                at -= 1
            order[at] = pool
            found += 1
    for level in range(classes.level[row], classes.loosest[row] + 1):
        for pool in order[:found]:
            parts = place(nodes, pool, level, workers, gpus, cpus, memory, need, starts)
            if parts == 0:
                continue
            begin, end = starts.size[0], starts.size[1]
            for part in range(end, end + parts):
                many = starts.workers[part]
                take(nodes, pool, starts.node[part], many * gpus, many * cpus, many * memory)
                take_spare(nodes, starts.node[part], need.end, many * gpus, many * cpus, many * memory)
            charge(quotas, position, asked)
            if stays:
                later.room[position] -= asked
            starts.row[begin], starts.job[begin] = row, classes.job[classes.next[row]]
            starts.pool[begin], starts.first_part[begin] = pool, end
            starts.size[0], starts.size[1] = begin + 1, end + parts
            classes.next[row] += 1
            return True
    failed[0, alike], failed[1, alike] = venue, priority
    return False


@compiled
def may_reserve(quotas: Quotas, later: Later, classes: Classes, row: int) -> bool:
    """Whether nodes may be reserved for the head of a class that cannot start: its group is below its share, and no quota
    would keep it from starting if there were room."""
    position, asked = classes.position[row], classes.workers[row] * classes.gpus[row]
    if later.looked[position] or not later.last[row] or quotas.own[position] >= quotas.share[position]:
        return False
    if classes.firm[row] and asked > quotas.guaranteed[position] - quotas.used[position]:
        return False
    idle, at = 0, position
    while at > 0:
        inside = quotas.inside[at]
        if asked > quotas.bound[at] - inside + idle:
            return False
        idle += max(quotas.reserve[at] - inside, 0)
        at = quotas.parent[at]
    return True


@compiled
def hand_out(
    nodes: Nodes,
    quotas: Quotas,
    later: Later,
    classes: Classes,
    lending: Lending,
    rows: Any,
    venue_first: Any,
    venue_pools: Any,
    failed: Any,
    starts: Starts,
) -> int:
    """Hand out one GPU class among ``rows`` (sorted by their groups' positions) until nobody can start any more: then -1.

    The group whose turn it is starts the first of its heads that can; a class that fails is ``later.done`` and not looked at
    again. Answers at once the row of a head that cannot start and for which nodes may be reserved, one a group.
    """
    heap_rows = rows.copy()
    firsts, sizes, positions = [0][:0], [0][:0], [0][:0]
    for at in range(len(rows)):
        position = classes.position[rows[at]]
        if len(positions) == 0 or positions[-1] != position:
            positions.append(position)
            firsts.append(at)
            sizes.append(0)
        sizes[-1] += 1
    might_reserve, free = later.last[rows].any(), nodes.pool_free[venue_pools].any()
    keys = [turn_of(quotas, position) for position in positions]
    heap, size = np.arange(len(positions)), len(positions)
    for group in range(size):
        for at in range(sizes[group] // 2 - 1, -1, -1):
            sink_row(classes, heap_rows, firsts[group], sizes[group], at)
    for at in range(size // 2 - 1, -1, -1):
        sink_group(keys, heap, size, at)
    while size > 0 and (free or might_reserve):
        group = heap[0]
        now = turn_of(quotas, positions[group])
        if now != keys[group]:  # starts have moved it back
            keys[group] = now
            sink_group(keys, heap, size, 0)
            continue
        if sizes[group] == 0 or available(quotas, positions[group]) <= 0:
            size -= 1
            heap[0] = heap[size]
            sink_group(keys, heap, size, 0)
            continue
        first = firsts[group]
        row = heap_rows[first]
        venue = classes.venue[row]
        pools = venue_pools[venue_first[venue] : venue_first[venue + 1]]
        started = start_head(nodes, quotas, later, classes, lending, row, pools, failed, starts)
        free = not started or nodes.pool_free[venue_pools].any()
        if not started or classes.next[row] == classes.stop[row]:
            later.done[row] = True
            if not started and may_reserve(quotas, later, classes, row):
                later.looked[classes.position[row]] = True
                return int(row)
            sizes[group] -= 1
            heap_rows[first] = heap_rows[first + sizes[group]]
        sink_row(classes, heap_rows, first, sizes[group], 0)
    return -1
