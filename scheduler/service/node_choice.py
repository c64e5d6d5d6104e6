"""Which nodes of a site are taken back or set aside, and what becomes of the runs on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from scheduler.placement.occupancy import Occupancy
from scheduler.placement.victims import cheapest_nodes, lost_work
from scheduler.store.nodes import NodeRow
from scheduler.store.runs import RunRow

#: What a run that may not be preempted weighs at the most: sums of such weights stay within int64.
_WEIGHT_MAX = 2**60


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """A run that has to go: when it is told to stop, and whether it saves its state then."""

    run: RunRow
    told_ms: int
    nodes: tuple[str, ...]


def start_ms_of(run: RunRow) -> int:
    """When a run began to hold its nodes, as rounds count it."""
    return run.leased_ms if run.started_ms is None else run.started_ms


def over_by(run: RunRow, deadline_ms: int) -> bool:
    """Whether a run is gone by a moment without being told: its walltime is over, or it was told to stop before."""
    if run.stop_cause is not None:
        return True
    return run.walltime_ms is not None and start_ms_of(run) + run.walltime_ms <= deadline_ms


def nodes_held(live: Iterable[RunRow]) -> frozenset[int]:
    """The nodes that runs stand on."""
    return frozenset(part[0] for run in live for part in run.gang)


def departures(live: Sequence[RunRow], node_ids: Collection[int], deadline_ms: int, now_ms: int) -> list[Departure]:
    """The runs that have to leave nodes by a deadline, by id: each is told when its grace is all that is left."""
    return [
        Departure(
            run=run,
            told_ms=max(now_ms, deadline_ms - run.grace_ms),
            nodes=tuple(part[1] for part in run.gang if part[0] in node_ids),
        )
        for run in sorted(live, key=lambda each: each.id)
        if not over_by(run, deadline_ms) and any(part[0] in node_ids for part in run.gang)
    ]


def choose_nodes(
    candidates: Sequence[NodeRow], live: Sequence[RunRow], needed: int, *, deadline_ms: int, now_ms: int
) -> list[NodeRow]:
    """Choose ``needed`` nodes to be empty by a deadline: idle ones by name, then those whose runs lose the least work.

    Runs that may not be preempted go last, and nodes that are unhealthy or set aside are chosen where there are too few
    others. A gang goes as a whole, wherever it stands. ``candidates`` are at least as many as are needed.
    """
    well = sorted((node for node in candidates if node.is_well), key=_by_name)
    ill = sorted((node for node in candidates if not node.is_well), key=_by_name)
    most = min(needed, len(well))
    chosen = _least_lost(well, live, most, deadline_ms, now_ms)
    return [*chosen, *ill[: needed - most]]


def _by_name(node: NodeRow) -> tuple[str, int]:
    return node.name, node.id


def _least_lost(
    nodes: Sequence[NodeRow], live: Sequence[RunRow], needed: int, deadline_ms: int, now_ms: int
) -> list[NodeRow]:
    held = nodes_held(live)
    idle = [node for node in nodes if node.id not in held]
    if len(idle) >= needed:
        return idle[:needed]
    victims = cheapest_nodes(_occupancy(nodes, live, deadline_ms, now_ms), needed)
    assert victims is not None, "every run may go, so that every node can be emptied"
    return [*idle, *(nodes[at] for at in victims.emptied[: needed - len(idle)])]


def _occupancy(nodes: Sequence[NodeRow], live: Sequence[RunRow], deadline_ms: int, now_ms: int) -> Occupancy:
    """The runs on ``nodes`` with what their ends cost. What is over by the deadline anyway costs nothing."""
    number = {node.id: at for at, node in enumerate(nodes)}
    here = [run for run in live if any(part[0] in number for part in run.gang)]
    lost = [0 if over_by(run, deadline_ms) else _lost(run, now_ms) for run in here]
    firm = [not (run.preemptible or over_by(run, deadline_ms)) for run in here]
    weight = min(1 + sum(lost), _WEIGHT_MAX // (1 + sum(firm)))
    entries: Counter[tuple[int, int]] = Counter()
    for at, run in enumerate(here):
        for node, _, _, workers in run.gang:
            if node in number:
                entries[at, number[node]] += workers
    columns = np.array([(run, node, workers) for (run, node), workers in entries.items()], np.int64).reshape(-1, 3)
    nothing = np.zeros(len(here), np.int64)
    return Occupancy(
        nodes=len(nodes),
        run_of=columns[:, 0],
        node_of=columns[:, 1],
        workers_of=columns[:, 2],
        costs=np.array([cost + weight * each for cost, each in zip(lost, firm, strict=True)], np.int64),
        droppable=nothing,
        shrink_costs=nothing,
    )


def _lost(run: RunRow, now_ms: int) -> int:
    return lost_work(now_ms - start_ms_of(run), None, run.checkpoints, run.gpus, run.grace_ms)
