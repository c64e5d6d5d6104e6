"""Nodes of one GPU class at one site, in the order of their names: where they lie, and what is free on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scheduler.model.shape import Topology
from scheduler.placement.arrays import DOMAIN_LEVELS
from scheduler.placement.request import LEVELS

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class PoolLayout:
    """Where the nodes of a pool lie. ``domains`` (level, node) numbers each level's domains by name, leaf first.

    ``share`` (2, node) is what each node has for each of its GPUs: thousandths of a core, and of a MiB of memory.
    """

    names: tuple[str, ...]
    domains: IntArray
    domain_counts: tuple[int, ...]
    share: IntArray

    @staticmethod
    def of(
        names: Sequence[str], paths: Sequence[tuple[str, ...]], amounts: Sequence[tuple[int, int, int]]
    ) -> PoolLayout:
        """``paths`` are (hall, spine, leaf) or any prefix; a shorter path is a domain of its own at the levels below.

        ``amounts`` are the GPUs, CPUs and memory (MiB) that each node has, free or not.
        """
        numbered = [_numbered(paths, depth) for depth in range(DOMAIN_LEVELS, 0, -1)]
        domains = np.array(numbered, dtype=np.int64).reshape(DOMAIN_LEVELS, len(names))
        share = np.array([share_of(*each) for each in amounts], np.int64).reshape(len(names), 2).T.copy()
        return PoolLayout(tuple(names), domains, tuple(len(set(numbers)) for numbers in numbered), share)

    def __len__(self) -> int:
        return len(self.names)

    def domains_of(self, level: Topology) -> IntArray:
        """By node the number of its domain of a level."""
        if level is Topology.NODE:
            return np.arange(len(self.names))
        if level in LEVELS:
            numbers: IntArray = self.domains[len(LEVELS) - 1 - LEVELS.index(level)]
            return numbers
        return np.zeros(len(self.names), np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """A layout with what is free by node: GPUs, CPUs, memory (MiB), each (node,). Never changed once made.

    ``terms`` numbers the terms on which each node is lent, ``until_ms`` is when it is taken back; both are None where
    everybody has all of them for ever.
    """

    layout: PoolLayout
    gpus: IntArray
    cpus: IntArray
    memory_mib: IntArray
    terms: IntArray | None = None
    until_ms: IntArray | None = None

    @property
    def free_gpus(self) -> int:
        """Free GPUs of all nodes."""
        return int(self.gpus.sum())


def share_of(gpus: int, cpus: int, memory_mib: int) -> tuple[int, int]:
    """Thousandths of a core and of a MiB for each GPU of a node that has so much; none where it has no GPU."""
    return (1000 * cpus // gpus, 1000 * memory_mib // gpus) if gpus else (0, 0)


def _numbered(paths: Sequence[tuple[str, ...]], depth: int) -> list[int]:
    cut = [path[:depth] for path in paths]
    numbers = {path: number for number, path in enumerate(sorted(set(cut)))}
    return [numbers[path] for path in cut]
