"""Where a task that is smaller than a node goes, so that what stays free is of use to the tasks that come.

Fragmentation gradient descent (Weng et al., USENIX ATC 2023). A node's fragment for a class of tasks is the free GPU time that
such a task could not use: all of it where the task does not fit, or wants no GPU; else that of GPUs with less free than
its share. F is the mean of this over the classes that are expected, by how common they are. A task goes where F falls most or
rises least, on the first GPU for which that is so, and between equals to the node that comes first.

As published, the fall of F (thousandths of a GPU) goes through ``floor(100 * sigmoid(fall / 1000))``: what differs by less
than some 40 thousandths is equal, which keeps tasks together on the first nodes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from quota.compiled import compiled

WHOLE = 1000  #: thousandths of a GPU
COMMON = 0.95  #: of all tasks; the classes that are expected are the most common ones that make up so many


class Task(NamedTuple):
    """What one task asks of one node: ``gpus`` GPUs, ``share`` thousandths of each, thousandths of a core, MiB."""

    gpus: int
    share: int
    cpus: int
    memory: int


class Tasks(NamedTuple):
    """``Task`` as columns (int64), one entry a kind of task. ``weight`` is how often the kind is expected, 0 for never."""

    gpus: Any
    share: Any
    cpus: Any
    memory: Any
    weight: Any


class Free(NamedTuple):
    """What is free: ``share`` (node, GPU) in thousandths; by node ``gpus`` (all it has), ``cpus`` and ``memory``. int64.

    ``change`` counts how often something was taken from a node.
    """

    share: Any
    gpus: Any
    cpus: Any
    memory: Any
    change: Any


class Known(NamedTuple):
    """Scores worked out before, (kind, node): ``score``, ``gpu``, and ``at``, the node's ``change`` they were worked out for."""

    score: Any
    gpu: Any
    at: Any


def columns(tasks: Iterable[Task], common: float = COMMON) -> tuple[tuple[Task, ...], Tasks]:
    """Kinds of tasks, the most common first, and their columns; the rarest kinds beyond ``common`` of all are not expected.

    Between equally common kinds the lesser tuple comes first.
    """
    counts: dict[Task, int] = {}
    for task in tasks:
        counts[task] = counts.get(task, 0) + 1
    kinds = tuple(sorted(counts, key=lambda kind: (-counts[kind], kind)))
    wanted, seen, weights = common * sum(counts.values()), 0, list[int]()
    for kind in kinds:
        weights.append(counts[kind] if seen < wanted else 0)
        seen += counts[kind]
    table = np.array(kinds, dtype=np.int64).reshape(len(kinds), 4)
    gpus, share, cpus, memory = (np.ascontiguousarray(column) for column in table.T)
    return kinds, Tasks(gpus, share, cpus, memory, np.array(weights, dtype=np.int64))


def nothing_known(kinds: int, nodes: int) -> Known:
    """No score worked out."""
    shape = (kinds, nodes)
    return Known(
        score=np.zeros(shape),
        gpu=np.zeros(shape, dtype=np.int64),
        at=np.full(shape, -1, dtype=np.int64),
    )


@compiled
def fits(share: Any, cpus: int, memory: int, task: Tasks, kind: int) -> bool:
    """Whether a task of this kind finds GPUs, CPUs and memory on a node; ``share`` is (GPU)."""
    if cpus < task.cpus[kind] or memory < task.memory[kind]:
        return False
    found = 0
    for gpu in range(len(share)):
        if share[gpu] >= task.share[kind]:
            found += 1
    return bool(found >= task.gpus[kind])


@compiled
def fragment(share: Any, cpus: int, task: Tasks) -> int:
    """F of one node times the sum of weights, thousandths of a GPU. As published it asks nothing of memory."""
    free = 0
    for gpu in range(len(share)):
        free += share[gpu]
    total = 0
    if free == 0:
        return total
    for kind in range(len(task.weight)):
        weight = task.weight[kind]
        if weight == 0:
            continue
        left, found = 0, 0
        for gpu in range(len(share)):
            if share[gpu] < task.share[kind]:
                left += share[gpu]
            else:
                found += 1
        if task.gpus[kind] == 0 or cpus < task.cpus[kind] or found < task.gpus[kind]:
            left = free
        total += weight * left
    return total


@compiled
def take_of(share: Any, task: Tasks, kind: int, gpu: int) -> None:
    """Take a task's GPUs off ``share`` (GPU): this one of a task that shares, else the first that are wholly free."""
    if task.gpus[kind] == 1 and task.share[kind] < 1000:
        share[gpu] -= task.share[kind]
        return
    left = task.gpus[kind]
    for each in range(len(share)):
        if left > 0 and share[each] >= task.share[kind]:
            share[each] -= task.share[kind]
            left -= 1


@compiled
def published_score(fall: float) -> float:
    """The published score of a fall of F (thousandths of a GPU): a whole number from 0 to 100."""
    return float(np.floor(100.0 / (1.0 + np.exp(-fall / 1000.0))))


@compiled
def best_gpu(share: Any, cpus: int, task: Tasks, kind: int) -> tuple[float, int]:
    """The score of a kind of task on a node where it fits, and the GPU; 0 for a task that does not share one."""
    weights = task.weight.sum()
    before = fragment(share, cpus, task)
    left = cpus - task.cpus[kind]
    shares = task.gpus[kind] == 1 and task.share[kind] < 1000
    best, chosen = -1.0, 0
    for gpu in range(len(share) if shares else 1):
        if shares and share[gpu] < task.share[kind]:
            continue
        after = share.copy()
        take_of(after, task, kind, gpu)
        score = published_score((before - fragment(after, left, task)) / weights)
        if score > best:
            best, chosen = score, gpu
    return best, chosen


@compiled
def choose(free: Free, known: Known, task: Tasks, kind: int) -> tuple[int, int]:
    """The node and GPU for a task of this kind, (-1, 0) where it fits on no node. ``known`` learns what is worked out."""
    node, best = -1, -1.0
    for each in range(len(free.gpus)):
        if known.at[kind, each] != free.change[each]:
            known.at[kind, each] = free.change[each]
            share = free.share[each, : free.gpus[each]]
            known.score[kind, each] = -1.0
            if fits(share, free.cpus[each], free.memory[each], task, kind):
                score, gpu = best_gpu(share, free.cpus[each], task, kind)
                known.score[kind, each], known.gpu[kind, each] = score, gpu
        if known.score[kind, each] > best:
            node, best = each, known.score[kind, each]
    return node, known.gpu[kind, node] if node >= 0 else 0


@compiled
def take(free: Free, task: Tasks, kind: int, node: int, gpu: int) -> None:
    """Put a task where ``choose`` said."""
    take_of(free.share[node, : free.gpus[node]], task, kind, gpu)
    free.cpus[node] -= task.cpus[kind]
    free.memory[node] -= task.memory[kind]
    free.change[node] += 1
