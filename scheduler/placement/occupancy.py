"""Who stands on which node, and what it would cost to make each of them go: what victims are chosen from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

#: The cost of a run that may not be ended.
NEVER = -1


@dataclass(frozen=True, slots=True)
class Leaving:
    """What it costs to make the runs go, by run: lists, since single numbers are read.

    ``cost`` is in GPU-milliseconds lost when the run is ended, or ``NEVER``; ``droppable`` is how many workers the run can
    shrink by; ``shrink_cost`` is in GPU-milliseconds lost for each of these.
    """

    cost: list[int]
    droppable: list[int]
    shrink_cost: list[int]


@dataclass(frozen=True)
class Occupancy:
    """The runs on the nodes of one pool or of one domain of it.

    ``run_of``, ``node_of`` and ``workers_of`` have one entry for each (run, node) that has workers; a pair comes once.
    Nodes are numbered below ``nodes`` and runs below the length of ``costs``, in the order of their names. ``costs``,
    ``droppable`` and ``shrink_costs`` are by run, with the meaning and units of ``Leaving``. What a run has outside of the
    pool or domain is not listed; it goes, too, when the run is ended, and belongs in its cost.
    """

    nodes: int
    run_of: IntArray
    node_of: IntArray
    workers_of: IntArray
    costs: IntArray
    droppable: IntArray
    shrink_costs: IntArray

    @cached_property
    def leaving(self) -> Leaving:
        """The costs as lists."""
        return Leaving(self.costs.tolist(), self.droppable.tolist(), self.shrink_costs.tolist())

    @cached_property
    def runs_on(self) -> IntArray:
        """How many runs stand on each node."""
        return np.bincount(self.node_of, minlength=self.nodes)

    @cached_property
    def movable(self) -> IntArray:
        """The entries on nodes that can be emptied at all, ordered by run and node.

        A node stays when a run on it may not be ended and has more workers there than it can drop.
        """
        stuck = (self.costs[self.run_of] == NEVER) & (self.workers_of > self.droppable[self.run_of])
        held = np.zeros(self.nodes, dtype=np.bool_)
        held[self.node_of[stuck]] = True
        order = np.lexsort((self.node_of, self.run_of))
        return order[~held[self.node_of[order]]]

    def standing_on(self, entries: IntArray) -> dict[int, list[tuple[int, int]]]:
        """For each node of ``entries`` that order by run, its (run, workers), ascending."""
        standing: dict[int, list[tuple[int, int]]] = {}
        columns = (self.node_of[entries], self.run_of[entries], self.workers_of[entries])
        for node, run, workers in zip(*(column.tolist() for column in columns), strict=True):
            standing.setdefault(node, []).append((run, workers))
        return standing
