"""Waiting classes as a round begins, compiled: their columns, what they ask for, and which of them could start at all.

Each walk says what a few operations on whole arrays would; a round makes them however little happens in it, so that what
counts is how many there are. ``cycle.oracle`` says the same one class at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from quota.compiled import compiled
from scheduler.placement.arrays import Classes

#: Rows of ``columns_of``.
WORKERS, GPUS, CPUS, MEMORY, LEVEL, LOOSEST, FIRM, END, LEAST = range(9)


@compiled
def columns_of(index: Any, columns: Any, stay: Any, end: Any, least: Any) -> Any:
    """By row of the waiting table what its shape says (the first seven of ``columns``, by index), and its stay (by number)."""
    found = np.empty((9, len(index)), np.int64)
    for row in range(len(index)):
        for column in range(7):
            found[column, row] = columns[column, index[row]]
        found[END, row], found[LEAST, row] = end[stay[row]], least[stay[row]]
    return found


@compiled
def asked_for(classes: Classes, choices: Any, asked: Any) -> None:
    """Add up, by GPU class and position, the GPUs that jobs ask for whose first candidate the class is."""
    if choices.shape[1] == 0:
        return
    for row in range(len(classes.next)):
        many = classes.stop[row] - classes.next[row]
        if many > 0 and choices[row, 0] >= 0:
            asked[choices[row, 0], classes.position[row]] += classes.workers[row] * classes.gpus[row] * many


@compiled
def tried_on(classes: Classes, choices: Any, choice: int, number: int) -> Any:
    """Rows in which jobs wait whose candidate ``choice`` is the GPU class ``number``, ascending."""
    found, many = np.empty(len(classes.next), np.int64), 0
    for row in range(len(classes.next)):
        if classes.next[row] < classes.stop[row] and choices[row, choice] == number:
            found[many] = row
            many += 1
    return found[:many]


@compiled
def could_start(
    classes: Classes,
    rows: Any,
    room: Any,
    guaranteed: Any,
    used: Any,
    pool_free: Any,
    venue_first: Any,
    venue_pools: Any,
) -> Any:
    """Of ``rows`` those whose group may have so much, and whose venue has so much free in some pool.

    By position: ``room`` is what may still start, ``guaranteed`` and ``used`` bound what cannot be preempted.
    """
    most = np.zeros(len(venue_first) - 1, np.int64)
    for venue in range(len(most)):
        for pool in venue_pools[venue_first[venue] : venue_first[venue + 1]]:
            most[venue] = max(most[venue], pool_free[pool])
    could = np.empty(len(rows), np.bool_)
    for at in range(len(rows)):
        row = rows[at]
        position, asked = classes.position[row], classes.workers[row] * classes.gpus[row]
        allowed = asked <= room[position] and asked <= most[classes.venue[row]]
        could[at] = allowed and (classes.firm[row] == 0 or asked <= guaranteed[position] - used[position])
    return could
