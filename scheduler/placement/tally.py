"""What is free, counted by pool and by domain: one walk over the nodes, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from quota.compiled import compiled
from scheduler.placement.pool import IntArray


def tally(gpus: IntArray, pool_of: IntArray, domain: IntArray, pools: int, domains: int) -> tuple[IntArray, ...]:
    """Free GPUs by pool, nodes by (pool, free GPUs), and free GPUs by domain, of what is free by node.

    ``pool_of`` and ``domain`` (level, node) number each node's pool and domains.
    """
    pool_free, domain_free = np.zeros(pools, np.int64), np.zeros(domains, np.int64)
    count = np.zeros((pools, int(gpus.max(initial=0)) + 1), np.int64)
    _add_up(gpus, pool_of, domain, pool_free, count, domain_free)
    return pool_free, count, domain_free


@compiled
def _add_up(gpus: Any, pool_of: Any, domain: Any, pool_free: Any, count: Any, domain_free: Any) -> None:
    for node in range(len(gpus)):
        free = gpus[node]
        pool_free[pool_of[node]] += free
        count[pool_of[node], free] += 1
        for level in range(len(domain)):
            domain_free[domain[level, node]] += free
