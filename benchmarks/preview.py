"""What other quotas would do to a large queue: ``python -m benchmarks.preview --nodes N --jobs J --groups G --changes C``.

A federation as in ``benchmarks.round``, state in memory, a twentieth of its nodes free and the others held by runs of one group
that may be preempted (``--empty``: nothing runs). Of ``C`` groups half give their guarantee to the other half, as a list of
quotas for ``dure quota preview`` says it. ``seconds_*`` is one preview: the next round as quotas stand, the one under the
others, and what becomes of every group concerned. ``round_seconds_p50`` is one round without a preview, of the same moment
in the same run, and ``rounds`` how many of them a preview is worth, in processor time. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from benchmarks.round import GPU_CLASS, GPUS_A_NODE, HOUR_MS, fill, put_groups, put_jobs, put_shapes, put_sites
from quota.tree import Quota
from scheduler.cycle.decide import decide
from scheduler.cycle.federation import Federation
from scheduler.cycle.preview import Count, Outlook, QuotaKey, preview
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.ids import GroupId, RunId


def quotas_exchanged(snapshot: Snapshot, groups: Sequence[GroupId], changes: int) -> dict[QuotaKey, Quota]:
    """Half of the named groups give their guarantee to the other half, inside each sector: promises go on to fit."""
    found: dict[QuotaKey, Quota] = {}
    parents = {group.id: group.parent for group in snapshot.groups.values()}
    by_parent: dict[GroupId | None, list[GroupId]] = {}
    for group in groups:
        by_parent.setdefault(parents[group], []).append(group)
    pairs = [pair for mine in by_parent.values() for pair in zip(mine[::2], mine[1::2], strict=False)]
    for giver, taker in pairs[: max(1, changes // 2)]:
        given, taken = (snapshot.tree.quota(group, GPU_CLASS) for group in (giver, taker))
        found[giver, GPU_CLASS] = replace(given, guaranteed=0)
        found[taker, GPU_CLASS] = replace(taken, guaranteed=taken.guaranteed + given.guaranteed)
    return found


def timed(act: Callable[[], object], repeats: int) -> tuple[list[float], list[float]]:
    """How long each of so many times took, in seconds of the wall's clock and of the processor."""
    taken, worked = [], []
    for _ in range(repeats):
        began, worked_before = time.perf_counter(), time.process_time()
        act()
        worked.append(time.process_time() - worked_before)
        taken.append(time.perf_counter() - began)
    return taken, worked


def percentile(seconds: list[float], part: int) -> float:
    """One of them, rounded to what is worth reading."""
    return round(float(np.percentile(seconds, part)), 4)


def sums(side: Outlook) -> dict[str, int]:
    """What a side of the preview starts and stops."""
    starts, stops = (sum(each.values(), Count()) for each in (side.starts, side.stops))
    return {"starts": starts.number, "starts_gpus": starts.gpus, "stops": stops.number, "stops_gpus": stops.gpus}


def make_federation(options: argparse.Namespace) -> tuple[Federation, Snapshot, Mapping[QuotaKey, Quota]]:
    """The federation, what it shows now, and the quotas to preview."""
    federation = Federation()
    put_sites(federation, options.nodes)
    groups = put_groups(federation, options.groups, options.nodes * GPUS_A_NODE)
    put_jobs(federation, options.jobs, groups, put_shapes(federation, options.shapes))
    if not options.empty:
        fill(federation, options.nodes, groups[0], preemptible=True)
        for run in range(1, options.nodes + 1, 20):
            federation.drop_run(RunId(run))
    federation.lend(HOUR_MS)
    snapshot = federation.snapshot()
    return federation, snapshot, quotas_exchanged(snapshot, groups, options.changes)


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1_000)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--groups", type=int, default=100)
    parser.add_argument("--shapes", type=int, default=1_000)
    parser.add_argument("--changes", type=int, default=2)
    parser.add_argument("--empty", action="store_true")
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    _federation, snapshot, changes = make_federation(options)
    told = preview(snapshot, changes)  # loads what is compiled
    gc.freeze()
    decide(snapshot, 0)
    round_seconds, round_worked = timed(lambda: decide(snapshot, 0), options.repeats)
    seconds, worked = timed(lambda: preview(snapshot, changes), options.repeats)
    measured = {
        "quotas": len(changes),
        "seconds_p50": percentile(seconds, 50),
        "seconds_p99": percentile(seconds, 99),
        "cpu_seconds_p50": percentile(worked, 50),
        "round_seconds_p50": percentile(round_seconds, 50),
        "round_cpu_seconds_p50": percentile(round_worked, 50),
        "rounds": round(percentile(worked, 50) / max(percentile(round_worked, 50), 1e-4), 1),
        "groups_told": len(told.before.holdings),
        "before": sums(told.before),
        "after": sums(told.after),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    print(json.dumps({"benchmark": "preview", **vars(options), **measured}))


if __name__ == "__main__":
    main()
