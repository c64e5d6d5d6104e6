"""Whom to end so that 4,096 GPUs come free at one site: ``python -m benchmarks.reclaim``.

A full site of ``--nodes`` nodes with gangs of 1 to 64 nodes, small runs that share nodes, and gangs of half nodes that tie
several nodes together. ``seconds_*`` time ``cheapest_nodes`` from arrays to victims; ``cover_seconds_*`` time the exact
programme alone, over the gangs that share no node. ``--elastic`` is the part of gangs that can shrink to a half,
``--signal`` the part that checkpoints on the signal and loses as much per GPU as every other such one: many ties.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import resource
import time
from collections.abc import Callable

import numpy as np

from scheduler.placement.cover import cheapest_cover
from scheduler.placement.occupancy import Occupancy
from scheduler.placement.victims import cheapest_nodes, lost_work

GPUS_A_NODE = 8
GANG_NODES = (1, 2, 4, 8, 16, 32, 64)
GANG_WEIGHTS = (40, 20, 15, 12, 8, 3, 2)
DAY_MS = 86_400_000
CHECKPOINT_INTERVAL_MS = 3_600_000
CHECKPOINT_COST_MS = 30_000


class Site:
    """Runs put on nodes one after the other; a worker is one GPU."""

    def __init__(self, nodes: int, seed: int) -> None:
        self.dice = random.Random(seed)
        self.nodes = nodes
        self.used = 0
        self.entries: list[tuple[int, int, int]] = []
        self.runs: list[tuple[int, int, int]] = []
        self.gangs: list[int] = []

    def put(self, standing: dict[int, int], *, elastic: float, signal: float) -> None:
        """One run with workers by node, of random age and checkpoint."""
        gpus = sum(standing.values())
        age_ms = int(min(self.dice.lognormvariate(15.5, 1.5), 30 * DAY_MS))
        checkpoint_ms = (
            None if self.dice.random() < 0.2 else max(0, age_ms - self.dice.randrange(CHECKPOINT_INTERVAL_MS))
        )
        on_signal = self.dice.random() < signal
        cost = lost_work(age_ms, checkpoint_ms, on_signal, gpus, CHECKPOINT_COST_MS)
        droppable = gpus // 2 if len(standing) > 1 and self.dice.random() < elastic else 0
        self.entries.extend((len(self.runs), node, workers) for node, workers in standing.items())
        self.runs.append((cost, droppable, CHECKPOINT_COST_MS // 10))

    def fill(self, *, shared: float, elastic: float, signal: float) -> None:
        """Shared nodes first, three in four of them alone and the others tied in pairs; then whole-node gangs."""
        while self.used + 2 <= self.nodes * shared:
            pair = (self.used, self.used + 1)
            self.used += 2
            tied = self.dice.random() < 0.25
            if tied:
                self.put(dict.fromkeys(pair, 4), elastic=0, signal=signal)
            for node in pair:
                left = 4 if tied else GPUS_A_NODE
                while left:
                    gpus = min(left, self.dice.choice((1, 1, 2, 4)))
                    self.put({node: gpus}, elastic=0, signal=signal)
                    left -= gpus
        while self.used < self.nodes:
            size = min(self.dice.choices(GANG_NODES, GANG_WEIGHTS)[0], self.nodes - self.used)
            self.gangs.append(len(self.runs))
            whole = dict.fromkeys(range(self.used, self.used + size), GPUS_A_NODE)
            self.put(whole, elastic=elastic, signal=signal)
            self.used += size

    def occupancy(self) -> Occupancy:
        """The arrays that a round holds."""
        run_of, node_of, workers_of = np.array(self.entries, dtype=np.int64).T
        costs, droppable, shrink_costs = np.array(self.runs, dtype=np.int64).T
        return Occupancy(self.nodes, run_of, node_of, workers_of, costs, droppable, shrink_costs)


def seconds(action: Callable[[], object], repeats: int) -> dict[str, float]:
    """Return the median and the 99th percentile of ``repeats`` timings, by the wall's clock and by the processor's."""
    taken, worked = [], []
    for _ in range(repeats):
        begin, worked_begin = time.perf_counter(), time.process_time()
        action()
        worked.append(time.process_time() - worked_begin)
        taken.append(time.perf_counter() - begin)
    parts = {"seconds_p50": (taken, 50), "seconds_p99": (taken, 99), "cpu_seconds_p50": (worked, 50)}
    return {name: round(float(np.percentile(each, part)), 6) for name, (each, part) in parts.items()}


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=4_000)
    parser.add_argument("--needed", type=int, default=512)
    parser.add_argument("--shared", type=float, default=0.1)
    parser.add_argument("--elastic", type=float, default=0.1)
    parser.add_argument("--signal", type=float, default=0.2)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    site = Site(options.nodes, options.seed)
    site.fill(shared=options.shared, elastic=options.elastic, signal=options.signal)
    site_now = site.occupancy()
    sizes = np.bincount(site_now.run_of)[site.gangs]
    costs = site_now.costs[site.gangs]
    victims = cheapest_nodes(site_now, options.needed)
    if victims is None:
        raise RuntimeError("the site has too few nodes")
    gc.freeze()
    sites = iter([site.occupancy() for _ in range(options.repeats)])  # an occupancy keeps what it has worked out
    figures = seconds(lambda: cheapest_nodes(next(sites), options.needed), options.repeats)
    cover_figures = seconds(lambda: cheapest_cover(costs, sizes, options.needed), options.repeats)
    measured = {
        "runs": len(site.runs),
        "gangs": len(site.gangs),
        **figures,
        **{f"cover_{name}": figure for name, figure in cover_figures.items()},
        "cost": victims.cost,
        "victims": len(victims.ended) + len(victims.shrunk),
        "shrunk": len(victims.shrunk),
        "emptied": len(victims.emptied),
        "optimal": victims.optimal,
        "lower_bound": victims.lower_bound,
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    print(json.dumps({"benchmark": "reclaim", **vars(options), **measured}))


if __name__ == "__main__":
    main()
