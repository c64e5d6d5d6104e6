"""How full a cluster gets whose GPUs are shared: ``python -m benchmarks.packing --trace FILE --cluster FILE``.

The experiment of FGD (Weng et al., USENIX ATC 2023), GPU types dropped: the log's tasks and as many drawn from it again as make
them ask for 130 % of all GPUs arrive in shuffled order, one by one, and never end. What does not fit is passed over. The
nodes are those with GPUs, as in the authors' list; the cluster file has one model after the other, theirs has not, so
the seed shuffles the nodes too (``--nodes as_listed`` does not): the published rule goes by their order.

``--rule gaps`` is ours, ``--rule fragments`` the published one. ``--whole`` leaves out who shares a GPU or wants none, and there
``--rule round`` fills the cluster by rounds of the simulator instead, which go by nodes' pools and names. The last line is one
JSON object: ``allocated`` is GPUs held over all GPUs when all have arrived, mean over seeds, ``deviation`` their standard
deviation.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import resource
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np

from scheduler.model.site import Node
from scheduler.placement.fragmentation import WHOLE, Free, Task, choose, columns, nothing_known, take
from scheduler.placement.gaps import Weights, choose_gap, coming_tasks
from scheduler.simulator.cluster import Cluster, read_cluster
from scheduler.simulator.policy import parse_policy
from scheduler.simulator.simulation import simulate
from scheduler.simulator.trace import TraceRow, read_trace

FOR_EVER_MS = 10**12


class Arrival(NamedTuple):
    """A row of the log, as the simulator reads it and to the thousandth."""

    row: TraceRow
    task: Task


def read_arrivals(trace: Path) -> list[Arrival]:
    """The log's rows. The simulator knows whole GPUs and whole cores, so shares and cores are read here."""
    with gzip.open(trace, "rt", encoding="utf-8") if trace.suffix == ".gz" else trace.open(encoding="utf-8") as lines:
        tasks = {line["job_id"]: task_of(line) for line in csv.DictReader(lines)}
    return [Arrival(row, tasks[row.job_id]) for row in read_trace(trace)]


def task_of(line: dict[str, str]) -> Task:
    """What a line of the log asks for."""
    gpus = int(line["gpus"])
    share = int(line["gpu_milli"] or WHOLE) if gpus else 0
    return Task(gpus, share, round(float(line["cpus"]) * 1000), round(float(line["mem_gb"]) * 1024))


def asked_by(task: Task) -> int:
    """Thousandths of a GPU."""
    return task.gpus * task.share


def arriving(log: Sequence[Arrival], wanted: float, dice: Random) -> list[Arrival]:
    """The log and as many drawn from it again as ask for ``wanted`` thousandths of a GPU together, shuffled."""
    found, asked = list(log), sum(asked_by(each.task) for each in log)
    while asked + asked_by((drawn := dice.choice(log)).task) <= wanted:
        found.append(drawn)
        asked += asked_by(drawn.task)
    dice.shuffle(found)
    return found


def free_nodes(nodes: Sequence[Node]) -> Free:
    """Nodes without tasks, as columns."""
    gpus = np.array([node.gpus for node in nodes], dtype=np.int64)
    return Free(
        share=np.where(np.arange(gpus.max()) < gpus[:, None], WHOLE, 0).astype(np.int64),
        gpus=gpus,
        cpus=np.array([node.cpus * 1000 for node in nodes], dtype=np.int64),
        memory=np.array([node.memory_mib for node in nodes], dtype=np.int64),
        change=np.zeros(len(nodes), dtype=np.int64),
    )


def by_columns(
    options: argparse.Namespace, log: Sequence[Arrival], coming: Sequence[Arrival], free: Free
) -> list[Task]:
    """The tasks that found a node by the published rule or by gaps."""
    tasks = [each.task for each in log]
    kinds, table = columns(tasks)
    number = {kind: index for index, kind in enumerate(kinds)}
    known, held = nothing_known(len(kinds), len(free.gpus)), list[Task]()
    still, weights = coming_tasks(Counter(tasks), int(free.gpus.sum()) * options.coming), Weights()
    for each in coming:
        kind = number[each.task]
        if options.rule == "gaps":
            node, gpu = choose_gap(free, table, kind, still, weights)
        else:
            node, gpu = choose(free, known, table, kind)
        if node >= 0:
            take(free, table, kind, node, gpu)
            held.append(each.task)
    return held


def by_rounds(coming: Sequence[Arrival], cluster: Cluster) -> list[Task]:
    """The tasks that found a node by rounds, one an arrival."""
    rows = [
        replace(each.row, job_id=str(at), submit_ms=at, duration_ms=FOR_EVER_MS, gpu_types=(), group="all", resident=0)
        for at, each in enumerate(coming)
    ]
    policy = parse_policy({"drain": False, "preemption": False})
    outcome = simulate(rows, cluster, policy, seed=0)
    return [coming[int(each.job.name)].task for each in outcome.history.segments]


def filled(options: argparse.Namespace, log: Sequence[Arrival], cluster: Cluster, seed: int) -> dict[str, Any]:
    """Fill the cluster once."""
    dice = Random(seed)
    coming = arriving(log, cluster.devices * WHOLE * options.arriving, dice)
    nodes = [node for node in cluster.nodes if node.gpus]
    if options.nodes == "shuffled":
        dice.shuffle(nodes)
    began = time.perf_counter()
    by_round = options.rule == "round"
    held = by_rounds(coming, cluster) if by_round else by_columns(options, log, coming, free_nodes(nodes))
    sizes = Counter(task.gpus if task.share in (0, WHOLE) else task.share / WHOLE for task in held)
    return {
        "seed": seed,
        "allocated": sum(asked_by(task) for task in held) / WHOLE / cluster.devices,
        "arrived": len(coming),
        "started": len(held),
        "started_by_gpus": {str(size): sizes[size] for size in sorted(sizes)},
        "cpu_allocated": sum(task.cpus for task in held) / 1000 / sum(node.cpus for node in nodes),
        "wall_s": time.perf_counter() - began,
    }


def read_options() -> argparse.Namespace:
    """What is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trace", type=Path, required=True)
    parser.add_argument("--cluster", type=Path, required=True)
    parser.add_argument("--rule", choices=("gaps", "fragments", "round"), default="gaps")
    parser.add_argument("--whole", action="store_true", help="only tasks that ask for whole GPUs")
    parser.add_argument("--nodes", choices=("shuffled", "as_listed"), default="shuffled")
    parser.add_argument("--arriving", type=float, default=1.3, help="GPUs asked for in all, as a part of the cluster's")
    parser.add_argument(
        "--coming", type=float, default=0.4, help="GPUs that gaps are kept for, as a part of the cluster's"
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    options = parser.parse_args()
    if options.rule == "round" and not options.whole:
        parser.error("--rule round needs --whole: a round knows whole GPUs alone")
    return options


def main() -> None:
    """Measure and print one JSON object."""
    options = read_options()
    began, worked = time.perf_counter(), time.process_time()
    cluster, log = read_cluster(options.cluster), read_arrivals(options.trace)
    if options.whole:
        log = [each for each in log if each.task.gpus and each.task.share == WHOLE]
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    runs = [filled(options, log, cluster, seed) for seed in seeds]
    allocated = [float(run["allocated"]) for run in runs]
    print(
        json.dumps(
            {
                "benchmark": "packing",
                "trace": options.trace.name,
                "rule": options.rule,
                "whole": options.whole,
                "nodes": options.nodes,
                "arriving": options.arriving,
                "coming": options.coming,
                "gpus": cluster.devices,
                "allocated": statistics.fmean(allocated),
                "deviation": statistics.stdev(allocated) if len(allocated) > 1 else 0.0,
                "allocated_least": min(allocated),
                "allocated_greatest": max(allocated),
                "runs": runs,
                "seconds": time.perf_counter() - began,
                "cpu_seconds": time.process_time() - worked,
                "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
