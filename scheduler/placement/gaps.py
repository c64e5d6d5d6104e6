"""Where a task that is smaller than a node goes, by what the gaps that are left will hold.

A gap is what is free of a GPU that is shared already. Some work is still to come; put, largest shares first, each into the
tightest gap that holds it, it would use so much of the gaps. A task that shares a GPU costs what it takes of that use; opening a
whole GPU costs what a whole one is expected to hold in the end, less what the work to come would put into the gap that
this makes. So good partners of what is common are kept apart while there are few gaps for them, and small tasks go where nothing
else fits.

To that two terms of the node are added, which also choose for tasks that share nothing. Crowding,
``crowding * gpus**2 / cores`` of what is free, grows where GPUs would be left without cores; a task costs what it adds. And each
whole GPU left on the node costs ``apart``, so that whole nodes stay whole. The first node and GPU of the least cost are taken.

All numbers are whole: thousandths of a GPU and of a core, costs in millionths of a GPU. Compiled code that is kept is told
stale by its own file, so this file calls none of ``fragmentation``.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd
from typing import Any, NamedTuple

import numpy as np

from quota.compiled import compiled
from scheduler.placement.fragmentation import WHOLE, Free, Task, Tasks


class Weights(NamedTuple):
    """What the terms weigh against each other; found by trial on the openb log, see docs/decisions/0016-fragmentation.md."""

    opening: int = 990  #: thousandths of a GPU that a whole one is expected to hold in the end
    crowding: int = 3  #: cores
    apart: int = 30  #: thousandths of a GPU for each whole one left on the node


class Coming(NamedTuple):
    """Tasks still to come that share a GPU: ``share`` in thousandths, the largest first, and ``number``. int64.

    Every share and a whole GPU are multiples of ``step``.
    """

    share: Any
    number: Any
    step: int


def coming_tasks(counts: Mapping[Task, int], gpus: float) -> Coming:
    """As many tasks as ask for ``gpus`` GPUs in the proportions of ``counts``; of them those that share a GPU."""
    asked = sum(count * task.gpus * task.share for task, count in counts.items())
    numbers: dict[int, int] = {}
    for task, count in counts.items():
        if task.gpus == 1 and task.share < WHOLE:
            numbers[task.share] = numbers.get(task.share, 0) + count
    shares = sorted(numbers, reverse=True)
    number = [round(numbers[share] * gpus * WHOLE / asked) for share in shares]
    return Coming(np.array(shares, dtype=np.int64), np.array(number, dtype=np.int64), gcd(WHOLE, *shares))


@compiled
def used_of(gaps: Any, coming: Coming) -> int:
    """Thousandths of a GPU that the tasks to come would use of ``gaps``, counted by their size in steps."""
    left = gaps.copy()
    used = 0
    for kind in range(len(coming.share)):
        share, number = coming.share[kind], coming.number[kind]
        steps = share // coming.step
        for size in range(steps, len(left)):
            each = size // steps
            full = min(number // each, left[size])
            left[size] -= full
            left[size - each * steps] += full
            number -= full * each
            used += full * each * share
            if 0 < number < each and left[size] > 0:
                left[size] -= 1
                left[size - number * steps] += 1
                used += number * share
                number = 0
    return used


@compiled
def crowding_of(free: int, cpus: int, weights: Weights) -> int:
    """Millionths of a GPU, of ``free`` thousandths of GPUs beside ``cpus`` thousandths of cores."""
    return int(weights.crowding * free * free * 1000 // max(cpus, 1))


@compiled
def cost_of_size(gaps: Any, size: int, share: int, coming: Coming, weights: Weights) -> int:
    """Thousandths of a GPU that it costs to put a share into a gap of this size, or a whole GPU. ``gaps`` is left as it was."""
    steps, taken = size // coming.step, share // coming.step
    whole = steps == len(gaps) - 1
    before = used_of(gaps, coming)
    gaps[steps] -= 0 if whole else 1
    gaps[steps - taken] += 1
    cost = before - used_of(gaps, coming) + (weights.opening if whole else 0)
    gaps[steps] += 0 if whole else 1
    gaps[steps - taken] -= 1
    return int(cost)


@compiled
def gaps_of(free: Free, step: int) -> Any:
    """How many gaps there are, by size in steps; whole GPUs and full ones are none."""
    gaps = np.zeros(1000 // step + 1, dtype=np.int64)
    for node in range(len(free.gpus)):
        for gpu in range(free.gpus[node]):
            share = free.share[node, gpu]
            if 0 < share < 1000:
                gaps[share // step] += 1
    return gaps


@compiled
def choose_gap(free: Free, task: Tasks, kind: int, coming: Coming, weights: Weights) -> tuple[int, int]:
    """The node and GPU for a task of this kind (GPU 0 where it shares none), (-1, 0) where it fits on no node."""
    gpus, share = task.gpus[kind], task.share[kind]
    shares = gpus == 1 and share < 1000
    gaps = gaps_of(free, coming.step)
    costs = np.full(len(gaps), -(10**15), dtype=np.int64)
    best, chosen, chosen_gpu = 10**18, -1, 0
    for node in range(len(free.gpus)):
        if free.cpus[node] < task.cpus[kind] or free.memory[node] < task.memory[kind]:
            continue
        total, whole = 0, 0
        for gpu in range(free.gpus[node]):
            total += free.share[node, gpu]
            whole += free.share[node, gpu] == 1000
        after = crowding_of(total - gpus * share, free.cpus[node] - task.cpus[kind], weights)
        of_node = after - crowding_of(total, free.cpus[node], weights)
        if not shares:
            cost = of_node + (1000 * weights.apart * (whole - gpus) if gpus > 0 else 0)
            if whole >= gpus and cost < best:
                best, chosen, chosen_gpu = cost, node, 0
            continue
        for gpu in range(free.gpus[node]):
            size = free.share[node, gpu]
            if size < share:
                continue
            steps = size // coming.step
            if costs[steps] == -(10**15):
                costs[steps] = cost_of_size(gaps, size, share, coming, weights)
            cost = of_node + 1000 * (costs[steps] + weights.apart * (whole - (1 if size == 1000 else 0)))
            if cost < best:
                best, chosen, chosen_gpu = cost, node, gpu
    return chosen, chosen_gpu
