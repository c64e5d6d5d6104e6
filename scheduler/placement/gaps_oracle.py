"""Placement by gaps over lists, nothing remembered: slow, obvious, and what ``gaps`` must equal."""

from __future__ import annotations

from collections.abc import Sequence

from scheduler.placement.fragmentation import WHOLE, Task
from scheduler.placement.fragmentation_oracle import NodeFacts, ways
from scheduler.placement.gaps import Weights


def used_oracle(gaps: Sequence[int], coming: Sequence[int]) -> int:
    """Thousandths of a GPU that shares to come use of gaps, one after the other, the largest first."""
    left, used = list(gaps), 0
    for share in sorted(coming, reverse=True):
        holding = [gap for gap in left if gap >= share]
        if holding:
            left.remove(min(holding))
            left.append(min(holding) - share)
            used += share
    return used


def gaps_in(nodes: Sequence[NodeFacts]) -> list[int]:
    """What is free of each GPU that is shared already and not full."""
    return [share for node in nodes for share in node.share if 0 < share < WHOLE]


def crowding_oracle(node: NodeFacts, weights: Weights) -> int:
    """Millionths of a GPU: how many of a node's free GPUs stand beside how few of its cores."""
    return weights.crowding * sum(node.share) ** 2 * 1000 // max(node.cpus, 1)


def choose_gap_oracle(
    nodes: Sequence[NodeFacts], task: Task, coming: Sequence[int], weights: Weights
) -> tuple[int, int]:
    """The node and GPU for a task, (-1, 0) where it fits on no node; ``coming`` are shares of tasks still to come."""
    found = []
    used = used_oracle(gaps_in(nodes), coming)
    for index, node in enumerate(nodes):
        for gpu, after in ways(node, task):
            cost = crowding_oracle(after, weights) - crowding_oracle(node, weights)
            if task.gpus:
                cost += 1000 * weights.apart * after.share.count(WHOLE)
            if task.gpus == 1 and task.share < WHOLE:
                then = gaps_in([*nodes[:index], after, *nodes[index + 1 :]])
                opened = weights.opening if node.share[gpu] == WHOLE else 0
                cost += 1000 * (used - used_oracle(then, coming) + opened)
            found.append((cost, index, gpu))
    return min(found)[1:] if found else (-1, 0)
