"""Which nodes a lender takes back, or an operator sets aside, where only their number is said.

Idle ones first, by name; then those whose runs lose the least work, work that may not be preempted last; unhealthy ones
where there are too few others. A gang goes as a whole, wherever it stands; an elastic one that writes checkpoints may leave some
of its nodes and go on with at least its least workers, which loses less.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np

from scheduler.cycle.facts import LiveRun
from scheduler.model.ids import NodeId
from scheduler.model.site import Node
from scheduler.placement.occupancy import Occupancy
from scheduler.placement.victims import cheapest_nodes, lost_work

#: What a run that may not be preempted weighs at the most: sums of such weights stay within int64.
_WEIGHT_MAX = 2**60


def choose_nodes(
    candidates: Collection[Node], runs: Collection[LiveRun], needed: int, *, deadline_ms: int, now_ms: int
) -> frozenset[NodeId]:
    """Choose ``needed`` of at least as many ``candidates`` to be empty by a deadline. ``runs`` are all that stand on them."""
    well = sorted((node for node in candidates if node.healthy), key=_by_name)
    ill = sorted((node for node in candidates if not node.healthy), key=_by_name)
    most = min(needed, len(well))
    chosen = [*_least_lost(well, runs, most, deadline_ms, now_ms), *ill[: needed - most]]
    return frozenset(node.id for node in chosen)


def _by_name(node: Node) -> tuple[str, int]:
    return node.name, node.id


def _least_lost(
    nodes: Sequence[Node], runs: Collection[LiveRun], needed: int, deadline_ms: int, now_ms: int
) -> Sequence[Node]:
    held = {node for run in runs for node, _ in run.gang}
    idle = [node for node in nodes if node.id not in held]
    if len(idle) >= needed:
        return idle[:needed]
    victims = cheapest_nodes(_occupancy(nodes, runs, deadline_ms, now_ms), needed)
    assert victims is not None, "every run may go, so that every node can be emptied"
    return [*idle, *(nodes[at] for at in victims.emptied[: needed - len(idle)])]


def _occupancy(nodes: Sequence[Node], runs: Collection[LiveRun], deadline_ms: int, now_ms: int) -> Occupancy:
    """What is over by the deadline anyway costs nothing."""
    number = {node.id: at for at, node in enumerate(nodes)}
    here = sorted((run for run in runs if any(node in number for node, _ in run.gang)), key=lambda run: run.id)
    over = [run.leaving or (run.expected_end_ms is not None and run.expected_end_ms <= deadline_ms) for run in here]
    lost = [0 if is_over else _lost(run, now_ms) for run, is_over in zip(here, over, strict=True)]
    firm = [not (run.preemptible or is_over) for run, is_over in zip(here, over, strict=True)]
    weight = min(1 + sum(lost), _WEIGHT_MAX // (1 + sum(firm)))
    entries: Counter[tuple[int, int]] = Counter()
    for at, run in enumerate(here):
        for node, workers in run.gang:
            if node in number:
                entries[at, number[node]] += workers
    columns = np.array([(run, node, workers) for (run, node), workers in entries.items()], np.int64).reshape(-1, 3)
    spare = [0 if is_over else run.spare_workers for run, is_over in zip(here, over, strict=True)]
    a_worker = [cost // max(run.workers, 1) for run, cost in zip(here, lost, strict=True)]
    return Occupancy(
        nodes=len(nodes),
        run_of=columns[:, 0],
        node_of=columns[:, 1],
        workers_of=columns[:, 2],
        costs=np.array([cost + weight * each for cost, each in zip(lost, firm, strict=True)], np.int64),
        droppable=np.array(spare, np.int64),
        shrink_costs=np.array(a_worker, np.int64),
    )


def _lost(run: LiveRun, now_ms: int) -> int:
    return lost_work(now_ms - run.started_ms, None, run.checkpoints, run.gpus, run.grace_ms)
