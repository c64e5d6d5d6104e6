"""How long granting, binding and settling cells takes in a nation: ``python -m benchmarks.cells``.

``--nodes`` nodes, one of ``--bad-every`` bad, in leaves of 32, spines of 256 and sites of 2,000; ``--groups``
groups hold leaves, spines and nodes, about ``--granted`` percent of all nodes. The last line is one JSON
object: seconds of the processor by step, medians where a step is repeated.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import time
from collections.abc import Mapping

from quota.cell_places import Work, place_cells
from quota.cell_shape import Level
from quota.cells import Bound, Granted, bind, callable_back, grant
from quota.packing import CellKind
from quota.refusal import Refusal
from quota.settlement import settle
from quota.topology import Domain, Node, Topology

GPU_CLASS = "h100"
NODES_A_SITE, NODES_A_SPINE, NODES_A_LEAF = 2_000, 256, 32
NODE = CellKind(GPU_CLASS, Level.NODE, 1)
#: A few spares in each, so that single bad nodes break no cell.
LEAF = CellKind(GPU_CLASS, Level.LEAF, 30)
SPINE = CellKind(GPU_CLASS, Level.SPINE, 248)


def nation(nodes: int) -> Topology:
    """Build sites of spines of leaves of nodes; the last spine and leaf of a site are smaller."""
    domains: dict[str, Domain] = {}
    machines = []
    for number in range(nodes):
        site, place = divmod(number, NODES_A_SITE)
        names = f"site-{site:03}", f"site-{site:03}/spine-{place // NODES_A_SPINE}"
        leaf = f"{names[1]}/leaf-{place // NODES_A_LEAF:02}"
        domains.setdefault(names[0], Domain(names[0], Level.SITE, None))
        domains.setdefault(names[1], Domain(names[1], Level.SPINE, names[0]))
        domains.setdefault(leaf, Domain(leaf, Level.LEAF, names[1]))
        machines.append(Node(f"node-{number:06}", leaf, GPU_CLASS))
    return Topology.build(domains.values(), machines)


class Stopwatch:
    """Seconds of the processor by step."""

    def __init__(self) -> None:
        self.taken: dict[str, list[float]] = {}
        self.begin = time.process_time()

    def lap(self, step: str) -> None:
        """Book the time since the last lap on ``step``."""
        now = time.process_time()
        self.taken.setdefault(step, []).append(now - self.begin)
        self.begin = time.process_time()

    def medians(self) -> Mapping[str, float]:
        """Seconds by step."""
        return {f"seconds_{step}": round(statistics.median(times), 6) for step, times in self.taken.items()}


def granted_to(groups: int, nodes: int, topology: Topology, watch: Stopwatch) -> Granted:
    """Grant every group its part of ``nodes`` nodes: a tenth get spines, a third leaves, the others nodes."""
    granted = Granted()
    for group in range(groups):
        share = max(nodes // groups, 1)
        wish = {NODE: share}
        if group % 10 == 0 and share >= SPINE.nodes // 2:
            wish = {SPINE: max(share // NODES_A_SPINE, 1)}
        elif group % 3 == 0 and share >= LEAF.nodes // 2:
            wish = {LEAF: max(share // NODES_A_LEAF, 1)}
        answer = grant(granted, group, wish, topology)
        watch.lap("grant")
        granted = answer if isinstance(answer, Granted) else granted
    return granted


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--nodes", type=int, default=32_500)
    arguments.add_argument("--groups", type=int, default=200)
    arguments.add_argument("--granted", type=int, default=80)
    arguments.add_argument("--bad-every", type=int, default=200)
    arguments.add_argument("--binds", type=int, default=60)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    dice = random.Random(given.seed)
    watch = Stopwatch()
    topology = nation(given.nodes)
    topology.of_class(GPU_CLASS)
    watch.lap("build")
    granted = granted_to(given.groups, given.nodes * given.granted // 100, topology, watch)
    refusal = grant(granted, 0, {LEAF: given.nodes}, topology)
    watch.lap("refuse")
    names = sorted(topology.nodes)
    lent = {name: dice.randrange(1, 100) for name in names if dice.random() < 0.5}
    for right in sorted(granted.rights)[: given.binds]:
        watch.begin = time.process_time()
        answer = bind(granted, right.group, right.kind, topology, lent=lent)
        watch.lap(f"bind_{right.kind.level.name.lower()}")
        granted = answer.granted if isinstance(answer, Bound) else granted
    claims = callable_back(granted, topology, lent.keys())
    watch.lap("callable_back")
    work = {name: [Work(frozenset({-1}), 8, firm=False)] for name in names}
    watch.begin = time.process_time()
    placed = place_cells(granted.rights, topology, work, {})
    watch.lap("place")
    place_cells(granted.rights, topology, work, placed.places)
    watch.lap("place_again")
    bad = dice.sample(names, len(names) // given.bad_every)
    ailing = topology.with_bad(bad)
    ailing.of_class(GPU_CLASS)
    watch.lap("rebuild")
    settled = settle(granted, ailing)
    watch.lap("settle")
    worse = topology.with_bad(sorted({*bad, *names[: given.nodes // 4]}))
    worse.of_class(GPU_CLASS)
    watch.begin = time.process_time()
    lost = settle(settled.granted, worse)
    watch.lap("settle_a_quarter_lost")
    figures = {
        "benchmark": "cells",
        **vars(given),
        "rights": len(granted.rights),
        "cells": sum(granted.rights.values()),
        "claims": len(claims),
        "refusal": refusal.code if isinstance(refusal, Refusal) else None,
        "limit": refusal.numbers["limit"] if isinstance(refusal, Refusal) else None,
        "broken": len(settled.broken),
        "short": len(settled.shortfalls),
        "short_a_quarter_lost": len(lost.shortfalls),
        **watch.medians(),
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
