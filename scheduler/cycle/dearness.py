"""Which runs go first where some have to, and what the end of each is taken to cost.

Between groups the least lost work for a GPU decides. Inside a group lower priority goes first, whatever is lost with it: the job
of a run of higher priority that was ended would wait again and end the lower one for itself, so that the work of both were lost,
one after the other. So a run costs for a GPU no less than any of its group's of lower priority.

Rounds end (law 4): while priorities stand, a stop for a job of the same group exchanges a run for one of higher priority, so that
what the group runs, sorted by priority, only rises. Of a reclaim ``entitlement`` says the same by shares.
"""

from __future__ import annotations

import numpy as np

from scheduler.placement.pool import IntArray


def dearest_last(
    lost: IntArray, gpus: IntArray, run: IntArray, group: IntArray, priority: IntArray
) -> tuple[IntArray, IntArray]:
    """Turns to go, as indices of the columns, and by turn what a run's end costs (GPU-milliseconds).

    By run: the work of one of its GPUs that would be lost (ms), its GPUs, its id, and its group and priority.
    """
    order = np.lexsort((run, lost, priority, group))
    # The most that was lost so far in each group: what earlier groups add is below what this one begins with.
    first = np.append(np.zeros(min(1, len(run)), np.int64), np.diff(group[order]) != 0)
    begins = np.cumsum(first) * (lost.max(initial=0) + 1)
    cost = np.empty_like(lost)
    cost[order] = np.maximum.accumulate(lost[order] + begins) - begins
    turns = np.lexsort((run, lost, priority, cost))
    return turns, (cost * gpus)[turns]
