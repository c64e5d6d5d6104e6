"""Over how many domains gangs lie, beside the fewest that could have held them."""

from __future__ import annotations

from itertools import chain

import numpy as np
from numpy.typing import NDArray

from scheduler.model.shape import Topology
from scheduler.simulator.simulation import Outcome

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

_LEVELS = {Topology.NODE: 0, Topology.LEAF: 3, Topology.SPINE: 2}


def locality(spanned: IntArray, possible: IntArray, work: FloatArray) -> float | None:
    """Σ w · (domains spanned / the fewest possible) / Σ w over runs of work w (device time): 1 where each lies as close as it
    could on an empty cluster."""
    whole = float(work.sum())
    return float((spanned / possible * work).sum()) / whole if whole else None


def localities(outcome: Outcome) -> dict[str, float | None]:
    """Of all runs of an outcome, by level: nodes, and leaves and spines where the cluster has any."""
    segments, nodes = outcome.history.segments, outcome.cluster.nodes
    lengths = np.array([len(each.gang) for each in segments], dtype=np.int64)
    whole = chain.from_iterable(chain.from_iterable(each.gang for each in segments))
    indices = np.fromiter(whole, dtype=np.int64, count=2 * int(lengths.sum()))[0::2]
    run_of = np.repeat(np.arange(len(segments)), lengths)
    work = np.array([each.gpus * (each.end_ms - each.start_ms) for each in segments], dtype=np.float64)
    found: dict[str, float | None] = {}
    for level, depth in _LEVELS.items():
        if not any(len(node.domain) >= depth for node in nodes):
            continue
        numbers: dict[object, int] = {}
        at = np.array([numbers.setdefault((node.site_id, node.domain_at(level)), len(numbers)) for node in nodes])
        pairs = np.unique(run_of * len(numbers) + at[indices])
        spanned = np.bincount(pairs // len(numbers), minlength=len(segments)).astype(np.int64)
        found[level.value] = locality(spanned, _fewest(outcome, level), work)
    return found


def _fewest(outcome: Outcome, level: Topology) -> IntArray:
    """The fewest domains of a level, at its site and of its class, that hold each run."""
    nodes, shapes = outcome.cluster.nodes, outcome.workload.shapes
    largest: dict[tuple[int, str, int], int] = {}

    def workers_most(site: int, gpu_class: str, gpus_per_worker: int) -> int:
        key = (site, gpu_class, gpus_per_worker)
        if key not in largest:
            rooms: dict[tuple[str, ...], int] = {}
            for node in nodes:
                if (node.site_id, node.gpu_class) == (site, gpu_class):
                    domain = node.domain_at(level)
                    rooms[domain] = rooms.get(domain, 0) + node.gpus // gpus_per_worker
            largest[key] = max(rooms.values())
        return largest[key]

    found = []
    for each in outcome.history.segments:
        gpus_per_worker = shapes[each.job.shape].gpus_per_worker
        most = workers_most(each.site, nodes[each.gang[0][0]].gpu_class, gpus_per_worker)
        found.append(-(-(each.gpus // gpus_per_worker) // most))
    return np.array(found, dtype=np.int64)
