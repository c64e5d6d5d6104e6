"""Every decision as a CSV, one row a run segment, so that anyone can check the laws from it without this code."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

from scheduler.simulator.simulation import Outcome

COLUMNS = ("job_id", "group", "site", "gpus", "nodes", "start_s", "end_s", "cause", "preemptor")


def write_decisions(outcome: Outcome, path: Path) -> None:
    """Write the segments by start, then job. ``nodes`` is ``index:gpus`` joined by ``|``; times are the trace's."""
    groups = outcome.workload.groups
    sites = {site.id: site.name for site in outcome.cluster.sites}
    ordered = sorted(outcome.history.segments, key=lambda each: (each.start_ms, each.job.id, each.end_ms))
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        for each in ordered:
            writer.writerow(
                (
                    each.job.name,
                    groups[each.job.group - 1],
                    sites[each.site],
                    each.gpus,
                    "|".join([f"{index}:{devices}" for index, devices in each.gang]),
                    seconds_text(each.start_ms),
                    seconds_text(each.end_ms),
                    each.cause.value,
                    "" if each.preemptor is None else each.preemptor.name,
                )
            )


def seconds_text(at_ms: int) -> str:
    """Milliseconds as seconds, exactly, without needless digits."""
    whole, rest = divmod(at_ms, 1000)
    return f"{whole}.{rest:03}".rstrip("0") if rest else str(whole)
