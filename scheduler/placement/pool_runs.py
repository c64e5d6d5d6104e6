"""Walks over a pool's runs in columns, compiled. ``cycle.pool_runs`` keeps the columns, ``cycle.movable_oracle`` says the same
one run at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from quota.compiled import compiled

#: Rows of the columns: when a run came and when it went (number of the change), its id, when it started and when it is over at
#: the latest, its grace (ms), the kind of its job (-1: the job could not go on at the site), what one worker has, the work that
#: is lost if it is moved (GPU-milliseconds), where its parts begin and end, its group, its priority, all GPUs that it holds,
#: whether it is leaving, whether it may be preempted, and whether it writes a checkpoint on the stop's signal.
(CAME, WENT, RUN, STARTED, OVER, GRACE, KIND, GPUS, CPUS, MEMORY, COST, BEGIN, END) = range(13)
GROUP, PRIORITY, HELD, LEAVING, PREEMPTIBLE, SAVES = range(13, 19)
ROWS = 19


@compiled
def restartable(columns: Any, count: int, at: int, now: int, minimum_run: int) -> Any:
    """Of the first ``count`` rows those of runs there at change ``at`` that may be stopped to go on: none of them is about to be
    over, and all have had their minimum run time (ms)."""
    found, many = np.empty(count, np.int64), 0
    for row in range(count):
        if columns[CAME, row] > at or columns[WENT, row] <= at or columns[KIND, row] < 0:
            continue
        if columns[OVER, row] > now + columns[GRACE, row] and columns[STARTED, row] <= now - minimum_run:
            found[many] = row
            many += 1
    return found[:many]


@compiled
def staying(columns: Any, count: int, at: int, latest: int, only_preemptible: bool) -> Any:
    """Of the first ``count`` rows those of runs there at change ``at`` that are not leaving and have started by ``latest`` (ms);
    of all, or ``only_preemptible`` ones."""
    found, many = np.empty(count, np.int64), 0
    for row in range(count):
        if columns[CAME, row] > at or columns[WENT, row] <= at or columns[LEAVING, row]:
            continue
        if columns[STARTED, row] <= latest and (columns[PREEMPTIBLE, row] or not only_preemptible):
            found[many] = row
            many += 1
    return found[:many]


@compiled
def lie(columns: Any, parts: Any, rows: Any, ids: Any, order: Any) -> Any:
    """Where the runs of ``rows`` lie in a pool, (node's index, workers, number among ``rows``; part).

    ``ids`` are those of the pool's nodes, ascending, and ``order`` the index of each. Parts on other nodes are left out.
    """
    size = 0
    for row in rows:
        size += columns[END, row] - columns[BEGIN, row]
    found, many = np.empty((3, size), np.int64), 0
    for number in range(len(rows)):
        for part in range(columns[BEGIN, rows[number]], columns[END, rows[number]]):
            place = np.searchsorted(ids, parts[0, part])
            if place < len(ids) and ids[place] == parts[0, part]:
                found[0, many], found[1, many], found[2, many] = order[place], parts[1, part], number
                many += 1
    return found[:, :many]


@compiled
def hold(columns: Any, rows: Any, lying: Any, nodes: int) -> Any:
    """GPUs, CPUs and memory that they hold on each of so many nodes, and the work that is lost if all there go."""
    found = np.zeros((4, nodes), np.int64)
    for part in range(lying.shape[1]):
        node, workers, row = lying[0, part], lying[1, part], rows[lying[2, part]]
        for amount in range(3):
            found[amount, node] += workers * columns[GPUS + amount, row]
        found[3, node] += columns[COST, row]
    return found
