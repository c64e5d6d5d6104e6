"""What step 1 of a round costs: effective capacity of every site and class, built anew and asked again.

``python -m benchmarks.capacity --sites 260 --nodes 32500 --offers 4``: offers with nightly windows, blackouts, sectors and
notices, a recall and a maintenance at every tenth site, ``--days`` ahead. ``cpu_seconds_calendars`` works every offer out, with
nothing remembered; ``cpu_seconds_build_*`` make every site's capacity of that for one borrower; ``cpu_seconds_ask_*`` ask law 5
once of each.
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

from scheduler.cycle.capacity import EffectiveCapacity, Lending, effective_capacity
from scheduler.cycle.stay import Stay, may_run
from scheduler.model.calendar import Calendar
from scheduler.model.ids import GroupId, NodeId, OfferId, SiteId
from scheduler.model.offer import Borrower, Offer, Sector
from scheduler.model.recall import Recall, Reservation
from scheduler.model.shape import DataClass

START = datetime(2026, 11, 2, 12, tzinfo=UTC)
NOW_MS = int(START.timestamp()) * 1000
DAY_MS = 86_400_000
BORROWER = Borrower(sector=Sector.RESEARCH, data_class=DataClass.OPEN, priority=0, groups=frozenset({GroupId(9)}))


class Scene:
    """Sites with what they lend, drawn by a seed."""

    def __init__(self, sites: int, nodes: int, offers: int, seed: int) -> None:
        self.lendings: dict[SiteId, list[Lending]] = {}
        dice = random.Random(seed)
        each_nodes = nodes // sites
        self.healthy = {SiteId(site): frozenset(map(NodeId, range(each_nodes))) for site in range(1, sites + 1)}
        self.offers = {site: [_offer(site, each_nodes // offers, dice) for _ in range(offers)] for site in self.healthy}
        struck = [site for site in self.healthy if site % 10 == 0]
        by_ms = NOW_MS + DAY_MS
        self.recalls = {
            site: [Recall(site=site, gpu_class="h100", nodes=4, by_ms=by_ms, asked_ms=NOW_MS)] for site in struck
        }
        some = frozenset(map(NodeId, range(16)))
        self.reservations = {
            site: [Reservation(site=site, from_ms=by_ms, to_ms=by_ms + DAY_MS, reason="new cables", node_ids=some)]
            for site in struck
        }

    def work_out(self, days: int) -> None:
        """The calendars of every offer."""
        until_ms = NOW_MS + days * DAY_MS
        self.lendings = {site: [Lending.of(each, NOW_MS, until_ms) for each in of] for site, of in self.offers.items()}

    def build(self) -> list[EffectiveCapacity]:
        """The capacity of every site."""
        return [
            effective_capacity(
                site,
                "h100",
                healthy,
                self.lendings[site],
                self.recalls.get(site, ()),
                self.reservations.get(site, ()),
                borrower=BORROWER,
                now_ms=NOW_MS,
            )
            for site, healthy in self.healthy.items()
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


def ask(capacities: list[EffectiveCapacity]) -> int:
    """Ask law 5 once of each site; answer how many said yes."""
    stay = Stay(nodes=8, now_ms=NOW_MS + 1, end_ms=NOW_MS + DAY_MS, checkpoint_ms=60_000, preemptible=True)
    return sum(type(may_run(each, stay)).__name__ == "Stays" for each in capacities)


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
    parser.add_argument("--days", type=int, default=35)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    scene = Scene(options.sites, options.nodes, options.offers, options.seed)
    calendars = timed(lambda: scene.work_out(options.days))
    builds = [timed(scene.build) for _ in range(options.repeats)]
    capacities = scene.build()
    asks = [timed(lambda: ask(capacities)) for _ in range(options.repeats)]
    print(
        json.dumps(
            vars(options)
            | {
                "cpu_seconds_calendars": round(calendars, 6),
                "cpu_seconds_build_median": round(statistics.median(builds), 6),
                "cpu_seconds_build_max": round(max(builds), 6),
                "cpu_seconds_ask_median": round(statistics.median(asks), 6),
                "cpu_seconds_ask_max": round(max(asks), 6),
                "steps_mean": round(statistics.mean(len(each.nodes.times_ms) for each in capacities), 1),
                "yes": ask(capacities),
                "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
