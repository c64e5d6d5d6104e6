"""The round: one pure decision in numbered steps.

1. effective capacity, 2. fair shares, 3. order, 4. placement by class, 7. verdicts. Steps 5 (reservations) and 6
(reclaim) stand between 4 and 7; step 8, ``check_plan``, is made by whoever applies the plan.

A job that names several GPU classes is tried on the first one everywhere before any job is tried on its second one.
Ties: group order is ``quota.order``, jobs by priority, submit time and id, sites by fewest free GPUs, then name.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable

from quota.admission import admit, available
from quota.order import TurnKey, turn_key
from quota.refusal import Refusal as QuotaRefusal
from scheduler.cycle.explain import explain
from scheduler.cycle.plan import GangPart, Plan, Start, Verdict
from scheduler.cycle.round import Queue, Round, begin, find_place
from scheduler.cycle.snapshot import SitePool, Snapshot, Turn
from scheduler.model.ids import GroupId
from scheduler.placement.request import Placement


def decide(snapshot: Snapshot, now_ms: int, seed: int) -> Plan:
    """Decide what starts now, and say of every class that waits on why. The same input gives the same plan.

    ``seed`` is carried into the plan; no step of this version draws from it.
    """
    round_ = begin(snapshot)
    place(round_)
    return Plan(starts=tuple(round_.starts), verdicts=tuple(verdicts(round_)), now_ms=now_ms, seed=seed)


def place(round_: Round) -> None:
    """Steps 3 and 4: hand out, each GPU class to the group whose turn it is, class by class of its jobs."""
    choices = max((len(queue.candidates) for queue in round_.queues), default=0)
    for choice in range(choices):
        by_class: defaultdict[str, list[Queue]] = defaultdict(list)
        for queue in round_.queues:
            if choice < len(queue.candidates) and not queue.is_empty:
                by_class[queue.candidates[choice]].append(queue)
        for gpu_class in sorted(by_class):
            if gpu_class in round_.usages:
                _hand_out(round_, gpu_class, by_class[gpu_class])


def _hand_out(round_: Round, gpu_class: str, queues: Iterable[Queue]) -> None:
    usage, shares = round_.usages[gpu_class], round_.shares[gpu_class]
    of_group: defaultdict[GroupId, list[tuple[Turn, int, Queue]]] = defaultdict(list)
    for number, queue in enumerate(queues):
        if queue.pools.get(gpu_class):
            of_group[queue.waiting.group].append((queue.head, number, queue))
    for heads in of_group.values():
        heapq.heapify(heads)
    turns: list[tuple[TurnKey, GroupId]] = [(turn_key(usage, shares, group), group) for group in of_group]
    heapq.heapify(turns)
    while turns:
        key, group = turns[0]
        heads = of_group[group]
        now = turn_key(usage, shares, group)
        if now != key:
            heapq.heapreplace(turns, (now, group))  # others' starts have moved it back
            continue
        if available(usage, group) <= 0:
            heapq.heappop(turns)
            continue
        _, number, queue = heads[0]
        if not _start_head(round_, gpu_class, queue):
            heapq.heappop(heads)  # a class that failed stays failed: a round only takes
        elif queue.is_empty:
            heapq.heappop(heads)
        else:
            heapq.heapreplace(heads, (queue.head, number, queue))
        if not heads:
            heapq.heappop(turns)


def _start_head(round_: Round, gpu_class: str, queue: Queue) -> bool:
    usage, request, group = round_.usages[gpu_class], queue.request, queue.waiting.group
    answer = admit(usage, group, request.gpus_in_all, inside_guarantee=not queue.preemptible)
    if isinstance(answer, QuotaRefusal):
        return False
    found = find_place(round_, queue.pools[gpu_class], request)
    if found is None:
        return False
    site_pool, placement = found
    round_.pools[site_pool.site, gpu_class].take(request, placement)
    usage.charge(group, request.gpus_in_all)
    round_.starts.append(
        Start(
            queue.head[2],
            group,
            queue.waiting.shape,
            site_pool.site,
            gpu_class,
            gang_of(site_pool, placement),
        )
    )
    queue.next += 1
    return True


def gang_of(site_pool: SitePool, placement: Placement) -> tuple[GangPart, ...]:
    """The placement as the plan says it: node, name, first rank, workers."""
    parts: list[GangPart] = []
    rank = 0
    for index, workers in placement:
        parts.append((site_pool.node_ids[index], site_pool.pool.names[index], rank, workers))
        rank += workers
    return tuple(parts)


def verdicts(round_: Round) -> Iterable[Verdict]:
    """Step 7: why what waits does not start, as things stand after the starts."""
    for queue in round_.queues:
        if not queue.is_empty:
            yield explain(round_, queue)
