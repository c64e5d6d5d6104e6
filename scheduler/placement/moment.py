"""When a gang would first fit on a pool that runs leave one by one: by room alone, wherever in the pool that is."""

from __future__ import annotations

from typing import Any

import numpy as np

from quota.compiled import compiled


@compiled
def first_moment(
    free: Any,
    node: Any,
    amounts: Any,
    end: Any,
    until: Any,
    workers: int,
    gpus: int,
    cpus: int,
    memory: int,
) -> int:
    """The first of ``end`` at which the free nodes have room for ``workers`` of ``gpus``, ``cpus`` and ``memory``; -1 for none.

    ``free`` (3, node) is what is free now: GPUs, CPUs, memory. Part ``k`` leaves ``amounts[:, k]`` of ``node[k]`` at
    ``end[k]`` (ms, ascending). A node counts for moments up to its ``until`` (ms), -1 for never. ``free`` is used up: it
    holds afterwards what is free at the moment that was found.
    """
    last = np.argsort(until, kind="mergesort")
    rooms = np.zeros(free.shape[1], np.int64)
    total, gone, part = 0, 0, 0
    for each in range(free.shape[1]):
        rooms[each] = _room(free, each, gpus, cpus, memory)
        total += rooms[each]
    while part < len(end):
        moment = end[part]
        while part < len(end) and end[part] == moment:
            each = node[part]
            for amount in range(3):
                free[amount, each] += amounts[amount, part]
            room = _room(free, each, gpus, cpus, memory)
            if rooms[each] >= 0:
                total += room - rooms[each]
                rooms[each] = room
            part += 1
        while gone < len(last) and until[last[gone]] < moment:
            total -= rooms[last[gone]]
            rooms[last[gone]] = -1
            gone += 1
        if total >= workers:
            return int(moment)
    return -1


@compiled
def _room(free: Any, node: int, gpus: int, cpus: int, memory: int) -> int:
    room = free[0, node] // gpus
    if cpus > 0:
        room = min(room, free[1, node] // cpus)
    if memory > 0:
        room = min(room, free[2, node] // memory)
    return int(max(room, 0))
