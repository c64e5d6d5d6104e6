"""How long past use and standing take to weigh and to order by: ``python -m benchmarks.standing``.

``--groups`` groups of four levels: all decayed by one interval, Fair Tree's order of them, what counts for standing at a
moment, and the order by standing. The last line is one JSON object with median seconds.
"""

from __future__ import annotations

import argparse
import json

import numpy as np

from benchmarks.fair_share import federation, seconds
from quota.admission import Usage
from quota.decay import Decay, DecayedUse
from quota.fair_share import fair_share
from quota.fair_tree import fair_tree
from quota.standing import standing_ranks
from quota.standing_rates import standing_rates

DAY_MS = 86_400_000


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--groups", type=int, default=10_000)
    arguments.add_argument("--repeats", type=int, default=20)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    tree, demand, capacity = federation(given.groups, given.seed)
    decay = Decay(7 * DAY_MS, entry_ms=300_000)
    gpus = demand.tolist()
    use = [decay.after(DecayedUse(0, 0), each, DAY_MS) for each in gpus]
    moments = iter(range(2 * DAY_MS, 2**62, 12_345))

    def decayed() -> list[DecayedUse]:
        now_ms = next(moments)
        return [decay.after(each, count, now_ms) for each, count in zip(use, gpus, strict=True)]

    amounts = [each.amount for each in decayed()]
    kept = np.random.default_rng(given.seed).integers(-1_000_000, 1_000_000, len(tree))
    usage, shares = Usage(tree, capacity, demand // 2), fair_share(tree, demand, capacity)
    figures = {
        "benchmark": "standing",
        **vars(given),
        "seconds_decay": round(seconds(decayed, given.repeats)[0], 6),
        "seconds_fair_tree": round(seconds(lambda: fair_tree(tree, amounts), given.repeats)[0], 6),
        "seconds_rates": round(seconds(lambda: standing_rates(usage, shares), given.repeats)[0], 6),
        "seconds_standing_ranks": round(seconds(lambda: standing_ranks(tree, kept), given.repeats)[0], 6),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
