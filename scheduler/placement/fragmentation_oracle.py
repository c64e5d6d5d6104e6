"""Fragmentation gradient descent over lists, nothing remembered: slow, obvious, and what ``fragmentation`` must equal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import exp, floor
from typing import NamedTuple

from scheduler.placement.fragmentation import WHOLE, Task


class NodeFacts(NamedTuple):
    """What is free on a node: thousandths of each GPU, thousandths of a core, MiB."""

    share: tuple[int, ...]
    cpus: int
    memory: int


def ways(node: NodeFacts, task: Task) -> Iterator[tuple[int, NodeFacts]]:
    """Each GPU that a sharing task may go to (0 for other tasks), and what is then free."""
    if task.cpus > node.cpus or task.memory > node.memory:
        return
    enough = [gpu for gpu, share in enumerate(node.share) if share >= task.share]
    if len(enough) < task.gpus:
        return
    shares = task.gpus == 1 and task.share < WHOLE
    for taken in [[gpu] for gpu in enough] if shares else [enough[: task.gpus]]:
        share = tuple(free - task.share if gpu in taken else free for gpu, free in enumerate(node.share))
        yield (taken[0] if shares else 0), NodeFacts(share, node.cpus - task.cpus, node.memory - task.memory)


def fragment_of(node: NodeFacts, task: Task) -> int:
    """What of a node's free GPUs, in thousandths, is of no use to a task."""
    enough = [share for share in node.share if share >= task.share]
    if task.gpus == 0 or task.cpus > node.cpus or len(enough) < task.gpus:
        return sum(node.share)
    return sum(node.share) - sum(enough)


def choose_oracle(nodes: Sequence[NodeFacts], expected: Sequence[tuple[Task, int]], task: Task) -> tuple[int, int]:
    """The node and GPU for a task, (-1, 0) where it fits on no node; ``expected`` are kinds of tasks with weights."""
    weights = sum(weight for _, weight in expected)
    found = []
    for index, node in enumerate(nodes):
        for gpu, after in ways(node, task):
            fall = sum(weight * (fragment_of(node, kind) - fragment_of(after, kind)) for kind, weight in expected)
            score = floor(100 / (1 + exp(-fall / weights / WHOLE)))
            found.append((-score, index, gpu))
    return min(found)[1:] if found else (-1, 0)
