"""Which GPU indices of which declared node are held by which run: the agent's own guard that no GPU is in
two runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scheduler.model.wire import NodeReport, RunOrder


class GpuIndices:
    """Free and held GPU indices of the declared nodes. Not thread-safe: its connector's lock guards it."""

    def __init__(self, nodes: Sequence[NodeReport]) -> None:
        self._gpus = {node.name: node.gpus for node in nodes}
        self._held: dict[str, dict[int, int]] = {node.name: {} for node in nodes}
        self._nodes_of: dict[int, tuple[str, ...]] = {}

    def take(self, order: RunOrder) -> dict[int, tuple[int, ...]] | str:
        """Indices for each rank of ``order``, lowest first; or why there are none, holding nothing then."""
        self._nodes_of[order.run_id] = tuple(member.node for member in order.gang)
        ranks: dict[int, tuple[int, ...]] = {}
        why = None
        for member in order.gang:
            if member.node not in self._gpus:
                why = f"this site has no node {member.node}"
                break
            held = self._held[member.node]
            free = [index for index in range(self._gpus[member.node]) if index not in held]
            wanted = len(member.ranks) * order.gpus_per_worker
            if len(free) < wanted:
                why = f"node {member.node} has {len(free)} free GPUs, the run needs {wanted} there"
                break
            for position, rank in enumerate(member.ranks):
                first = position * order.gpus_per_worker
                ranks[rank] = tuple(free[first : first + order.gpus_per_worker])
                held.update(dict.fromkeys(ranks[rank], order.run_id))
        if why is None and ranks.keys() != set(range(order.workers)):
            why = f"the gang names {len(ranks)} ranks, not 0 to {order.workers - 1}"
        if why is not None:
            self.free(order.run_id)
            return why
        return ranks

    def hold(self, order: RunOrder, ranks: Mapping[int, tuple[int, ...]]) -> None:
        """Note what an adopted run holds already."""
        self._nodes_of[order.run_id] = tuple(member.node for member in order.gang)
        for member in order.gang:
            held = self._held.setdefault(member.node, {})
            for rank in member.ranks:
                held.update(dict.fromkeys(ranks.get(rank, ()), order.run_id))

    def free(self, run_id: int) -> None:
        """Give back all that a run holds."""
        for node in self._nodes_of.pop(run_id, ()):
            held = self._held.get(node, {})
            for index in [index for index, holder in held.items() if holder == run_id]:
                del held[index]

    def held(self, node: str) -> int:
        """How many GPUs of a node are held."""
        return len(self._held.get(node, {}))
