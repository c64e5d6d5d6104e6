"""A round as it stood at some time, to go back to and hand out anew."""

from __future__ import annotations

from scheduler.cycle.round import Round
from scheduler.placement.pool import IntArray


class Mark:
    """Copies of all that handing out changes."""

    def __init__(self, round_: Round) -> None:
        self._round = round_
        self._starts = round_.starts.size.copy()
        self._arrays: list[tuple[IntArray, IntArray]] = [(each, each.copy()) for each in _changing(round_)]

    def go_back(self) -> None:
        """Undo all starts and reservations since."""
        for array, before in self._arrays:
            array[...] = before
        self._round.starts.size[...] = self._starts
        self._round.forget_reservations()


def _changing(round_: Round) -> list[IntArray]:
    nodes, found = round_.board.nodes, [round_.classes.next]
    found += [nodes.gpus, nodes.cpus, nodes.memory, nodes.pool_free, nodes.count, nodes.hint, nodes.domain_free]
    found += [nodes.held, nodes.held_from, nodes.spare]
    for usage in round_.usages.values():
        found += [usage.own, usage.used, usage.inside]
    return found
