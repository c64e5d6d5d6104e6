"""The compiled loop that chooses whom to end for a gang: ``displace_oracle.greedily`` says the same as plain Python.

Quotas are counted as ``quota.admission`` counts them, and who may be ended for whom is what ``cycle.entitlement`` says.
The few lines for that stand here anew, since compiled code that is kept is told stale by its own file alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from quota.compiled import compiled
from scheduler.placement.arrays import Quotas


class Runs(NamedTuple):
    """Runs by number, (run,) but for their parts: ``first`` (run + 1) is where those begin in ``pool``, ``node`` and
    ``workers`` (part); ``node`` is an index in the pool. ``gpus``, ``cpus`` and ``memory`` are a worker's, ``held`` all GPUs
    of the run, ``position`` that of its group, ``dearness`` its turn to be spared, 0 in front.
    """

    first: Any
    pool: Any
    node: Any
    workers: Any
    gpus: Any
    cpus: Any
    memory: Any
    held: Any
    position: Any
    dearness: Any


class Gang(NamedTuple):
    """Who claims: workers and what each asks for, the position of its group, and whether it is ``firm``, above no guarantee."""

    workers: int
    gpus: int
    cpus: int
    memory: int
    position: int
    firm: bool


@compiled
def room_for(free: Any, node: int, gang: Gang) -> int:
    """Workers that fit on a node."""
    room = free[0, node] // gang.gpus
    if gang.cpus > 0:
        room = min(room, free[1, node] // gang.cpus)
    if gang.memory > 0:
        room = min(room, free[2, node] // gang.memory)
    return int(room)


@compiled
def count(quotas: Quotas, position: int, gpus: int) -> None:
    """Count so much more at a group, or less: ``quota.admission.Usage``."""
    quotas.own[position] += gpus
    added = gpus
    while position >= 0:
        quotas.used[position] += gpus
        before, reserve = quotas.inside[position], quotas.reserve[position]
        quotas.inside[position] = before + added
        added = max(before + added, reserve) - max(before, reserve)
        position = quotas.parent[position]


@compiled
def admits(quotas: Quotas, gang: Gang) -> bool:
    """``quota.admission.admit`` for the whole gang."""
    asked, idle, at = gang.workers * gang.gpus, 0, gang.position
    if gang.firm and asked > quotas.guaranteed[at] - quotas.used[at]:
        return False
    while at >= 0:
        inside = quotas.inside[at]
        if asked > quotas.bound[at] - inside + idle:
            return False
        idle += max(quotas.reserve[at] - inside, 0)
        at = quotas.parent[at]
    return True


@compiled
def may_end(quotas: Quotas, shares: Any, above: Any, victim: int, claimant: int) -> bool:
    """``cycle.entitlement.is_above_share``, or the claimant's own run. ``above`` tells the groups on the claimant's path."""
    if victim == claimant:
        return True
    if quotas.own[victim] <= quotas.share[victim]:
        return False
    while not above[victim]:
        if quotas.used[victim] <= shares[victim]:
            return False
        victim = quotas.parent[victim]
    return True


@compiled
def move(free: Any, room: Any, usable: Any, pool: int, runs: Runs, run: int, sign: int, gang: Gang) -> int:
    """Free a run's nodes in a pool, or hold them again; answer how many more workers fit."""
    more = 0
    for part in range(runs.first[run], runs.first[run + 1]):
        if runs.pool[part] != pool:
            continue
        node, many = runs.node[part], sign * runs.workers[part]
        free[0, node] += many * runs.gpus[run]
        free[1, node] += many * runs.cpus[run]
        free[2, node] += many * runs.memory[run]
        if usable[node]:
            now = room_for(free, node, gang)
            more += now - room[node]
            room[node] = now
    return more


@compiled
def make_way(
    free: Any, usable: Any, pool: int, gang: Gang, runs: Runs, order: Any, quotas: Quotas, shares: Any, needed: Any
) -> int:
    """End runs in ``order`` until the gang fits on ``usable`` nodes of a pool, then keep each that can be spared.

    ``free`` is (amount, node), ``quotas.share`` each group's own share, ``shares`` that of its subtree. Writes the numbers of
    those that have to go to ``needed`` (order,), the dearest first, and answers how many; -1 where the gang cannot fit.
    Changes nothing else.
    """
    free = free.copy()
    quotas = Quotas(
        quotas.parent,
        quotas.bound,
        quotas.reserve,
        quotas.guaranteed,
        quotas.own.copy(),
        quotas.used.copy(),
        quotas.inside.copy(),
        quotas.share,
        quotas.path_rank,
        quotas.standing_rank,
    )
    above = np.zeros(len(quotas.parent), np.bool_)
    at = gang.position
    while at >= 0:
        above[at] = True
        at = quotas.parent[at]
    room = np.zeros(free.shape[1], np.int64)
    fitting = 0
    for node in range(free.shape[1]):
        if usable[node]:
            room[node] = room_for(free, node, gang)
            fitting += room[node]
    ended, gone = np.empty(len(order), np.int64), 0
    for run in order:
        if fitting >= gang.workers and admits(quotas, gang):
            break
        if may_end(quotas, shares, above, runs.position[run], gang.position):
            fitting += move(free, room, usable, pool, runs, run, 1, gang)
            count(quotas, runs.position[run], -runs.held[run])
            ended[gone] = run
            gone += 1
    if fitting < gang.workers or not admits(quotas, gang):
        return -1
    left = 0
    for run in ended[:gone][np.argsort(runs.dearness[ended[:gone]])]:
        fitting += move(free, room, usable, pool, runs, run, -1, gang)
        count(quotas, runs.position[run], runs.held[run])
        if fitting < gang.workers or not admits(quotas, gang):
            fitting += move(free, room, usable, pool, runs, run, 1, gang)
            count(quotas, runs.position[run], -runs.held[run])
            needed[left] = run
            left += 1
    return left
