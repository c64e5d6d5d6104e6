"""What step 1 of a round costs: which nodes every site lends now, worked out anew with nothing remembered.

``python -m benchmarks.capacity --sites 260 --nodes 32500 --offers 4``: offers with nightly windows, blackouts, sectors and
notices, a recall and a maintenance at every tenth site, runs on every other node. ``cpu_seconds_*`` are for all sites; a round
works out those alone at which something has changed.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from scheduler.cycle.lent import Guest, LentNodes, lend
from scheduler.cycle.stay import NEVER_MS
from scheduler.model.calendar import Calendar
from scheduler.model.ids import NodeId, OfferId, SiteId
from scheduler.model.offer import Offer, Sector
from scheduler.model.recall import Recall, Reservation
from scheduler.model.shape import DataClass
from scheduler.model.site import Node

START = datetime(2026, 11, 2, 12, tzinfo=UTC)
NOW_MS = int(START.timestamp()) * 1000
DAY_MS = 86_400_000
GUEST = Guest(sector=Sector.RESEARCH, data_class=DataClass.OPEN, priority=0, preemptible=True, end_ms=NOW_MS + DAY_MS)
LONG_GUEST = Guest(sector=Sector.STARTUP, data_class=DataClass.OPEN, priority=0, preemptible=True, end_ms=NEVER_MS)


class Scene:
    """Sites with what they lend, drawn by a seed."""

    def __init__(self, sites: int, nodes: int, offers: int, seed: int) -> None:
        dice = random.Random(seed)
        each_nodes = nodes // sites
        self.nodes = {SiteId(site): _nodes(SiteId(site), each_nodes) for site in range(1, sites + 1)}
        self.offers = {site: [_offer(site, each_nodes // offers, dice) for _ in range(offers)] for site in self.nodes}
        self.guests = {
            node.id: [dice.choice((GUEST, LONG_GUEST))] for of in self.nodes.values() for node in of if node.id % 2
        }
        struck = [site for site in self.nodes if site % 10 == 0]
        by_ms = NOW_MS + DAY_MS
        chosen = {site: frozenset(node.id for node in self.nodes[site][:4]) for site in struck}
        self.recalls = {
            site: [
                Recall(site=site, gpu_class="h100", nodes=4, by_ms=by_ms, asked_ms=NOW_MS, node_ids=chosen[site]),
            ]
            for site in struck
        }
        self.reservations = {
            site: [
                Reservation(
                    site=site,
                    from_ms=by_ms,
                    to_ms=by_ms + DAY_MS,
                    reason="new cables",
                    node_ids=frozenset(node.id for node in self.nodes[site][-16:]),
                )
            ]
            for site in struck
        }

    def lend(self) -> list[LentNodes]:
        """What every site lends."""
        return [
            lend(
                nodes,
                self.guests,
                self.offers[site],
                self.recalls.get(site, ()),
                self.reservations.get(site, ()),
                NOW_MS,
            )
            for site, nodes in self.nodes.items()
        ]


def _nodes(site: SiteId, count: int) -> list[Node]:
    return [
        Node(
            id=NodeId(site * 100_000 + number),
            site_id=site,
            name=f"node-{number:05}",
            pool="pool",
            gpu_class="h100",
            gpus=8,
            cpus=64,
            memory_mib=1 << 20,
            domain=(),
            healthy=True,
        )
        for number in range(count)
    ]


def _offer(site: SiteId, nodes: int, dice: random.Random) -> Offer:
    opens, closes = dice.choice(range(17, 23)), dice.choice(range(5, 10))
    dark = (START + timedelta(days=dice.randrange(30))).date()
    calendar = Calendar.model_validate(
        {
            "time_zone": dice.choice(["Asia/Seoul", "Asia/Seoul", "Europe/Berlin"]),
            "windows": [{"days": "mon-fri", "from": f"{opens}:00", "to": f"0{closes}:00"}, {"days": "sat-sun"}],
            "blackouts": [str(dark)],
        }
    )
    return Offer(
        id=OfferId(1),
        site=site,
        gpu_class="h100",
        nodes=nodes,
        calendar=calendar,
        sectors=dice.choice([(), (Sector.RESEARCH,), (Sector.STARTUP,)]),
        notice_seconds=dice.choice([None, 3600]),
        minimum_hold_seconds=600,
    )


def timed(work: Callable[[], object]) -> float:
    """CPU seconds that some work takes: the machine may have other work, too."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=260)
    parser.add_argument("--nodes", type=int, default=32_500)
    parser.add_argument("--offers", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    scene = Scene(options.sites, options.nodes, options.offers, options.seed)
    seconds = [timed(scene.lend) for _ in range(options.repeats)]
    print(
        json.dumps(
            vars(options)
            | {
                "cpu_seconds_median": round(statistics.median(seconds), 6),
                "cpu_seconds_max": round(max(seconds), 6),
                "lent_nodes": sum(len(each.nodes) for each in scene.lend()),
                "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
