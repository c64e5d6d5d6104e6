"""How long one exact division of a class in a large tree takes: ``python -m benchmarks.fair_share``.

The last line is one JSON object. ``seconds_*`` time ``fair_share`` alone; the others the rest of what a
round asks of ``quota``: availability of every group, and one start charged and released.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable

import numpy as np

from quota.admission import Usage, available, available_all
from quota.fair_share import fair_share
from quota.tree import ClassTree, Group, IntArray, Quota, QuotaTree


def federation(groups: int, seed: int) -> tuple[ClassTree, IntArray, int]:
    """Build four levels (federation, 5 sectors, institutions, projects) with demand above capacity."""
    dice = random.Random(seed)
    capacity = 260_000
    members = [Group(1, "federation", None)]
    sectors = range(2, 7)
    institutions = range(7, 7 + max(groups // 10, 5))
    members += [Group(each, f"sector-{each}", 1) for each in sectors]
    members += [Group(each, f"institution-{each}", dice.choice(sectors)) for each in institutions]
    projects = range(institutions.stop, max(groups + 1, institutions.stop + 1))
    members += [Group(each, f"project-{each}", dice.choice(institutions)) for each in projects]
    quotas = {}
    promised = dict.fromkeys((group.id for group in members), 0)
    for group in reversed(members[1:]):
        guaranteed = max(promised[group.id], int(dice.paretovariate(1.2) * capacity / groups / 12))
        promised[group.parent or 1] += guaranteed
        limit = guaranteed * 20 if dice.random() < 0.2 else None
        quotas[group.id, "h100"] = Quota(
            guaranteed=guaranteed,
            limit=limit,
            borrowing_limit=guaranteed * 10 if dice.random() < 0.2 else None,
            lending_limit=guaranteed // 2 if dice.random() < 0.2 else None,
            weight=dice.choice((1, 1, 2, 5, 10)),
        )
    tree = QuotaTree.build(members, quotas).of_class("h100")
    demand = tree.array({each: int(dice.paretovariate(1.1) * capacity / groups / 2) for each in projects})
    return tree, demand, capacity


def seconds(action: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Return the median and the 99th percentile of ``repeats`` timings."""
    taken = []
    for _ in range(repeats):
        begin = time.perf_counter()
        action()
        taken.append(time.perf_counter() - begin)
    return float(np.percentile(taken, 50)), float(np.percentile(taken, 99))


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--groups", type=int, default=10_000)
    arguments.add_argument("--repeats", type=int, default=200)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    tree, demand, capacity = federation(given.groups, given.seed)
    shares = fair_share(tree, demand, capacity)
    usage = Usage(tree, capacity, shares.own // 2)
    group = int(tree.group_ids[-1])

    def start_and_end() -> None:
        available(usage, group)
        usage.charge(group, 8)
        usage.release(group, 8)

    median, slowest = seconds(lambda: fair_share(tree, demand, capacity), given.repeats)
    print(
        json.dumps(
            {
                "benchmark": "fair_share",
                "groups": len(tree),
                "seconds_p50": median,
                "seconds_p99": slowest,
                "available_all_seconds_p50": seconds(lambda: available_all(usage), given.repeats)[0],
                "usage_seconds_p50": seconds(lambda: Usage(tree, capacity, shares.own), given.repeats)[0],
                "copy_seconds_p50": seconds(usage.copy, given.repeats)[0],
                "check_charge_release_seconds_p50": seconds(start_and_end, given.repeats * 10)[0],
                "capacity": capacity,
                "demand": int(demand.sum()),
                "shared": int(shares.own.sum()),
            }
        )
    )


if __name__ == "__main__":
    main()
