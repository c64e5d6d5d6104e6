"""What lenders say as the time of a trace goes by: offers from the start, recalls and maintenance once they are asked for.

Nodes are chosen when they are asked for, as in production: of those that are lent at the deadline, no more than offers with
a notice lend then, and none before its notice and the hold of every run on it are over. Who asks for more gets so many. A
site without offers lends all it has, and gives back whatever is asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from scheduler.cycle.facts import LiveRun
from scheduler.cycle.node_choice import choose_nodes
from scheduler.cycle.stay import NEVER_MS
from scheduler.model.ids import NodeId
from scheduler.model.offer import Offer
from scheduler.model.recall import Recall, Reservation
from scheduler.model.site import Node
from scheduler.simulator.asks import Ask, asks_of, offers_of
from scheduler.simulator.cluster import Cluster
from scheduler.simulator.policy import Policy
from scheduler.simulator.workload import Workload

#: Where nodes are taken back, a simulation goes on for so long after the last arrival and no longer.
AFTER_LAST_ARRIVAL_MS = 366 * 86_400_000


class Lenders:
    """Offers, and what has been recalled and set aside by now. ``asked`` and ``granted`` count recalled nodes."""

    def __init__(self, policy: Policy, cluster: Cluster, groups: Sequence[str] = ()) -> None:
        """``groups`` are all paths, that of GroupId(1) first.

        Raises ConfigurationError for a site, a class, a number of nodes or a group that is not there.
        """
        self.offers: tuple[Offer, ...] = tuple(offers_of(policy, cluster, groups))
        self.recalls: list[Recall] = []
        self.reservations: list[Reservation] = []
        self.asked = self.granted = 0
        self.is_any = policy.lends
        self._nodes = cluster.nodes
        self._asks = asks_of(policy, cluster)
        self._told = 0

    @property
    def next_ms(self) -> int:
        """When somebody asks for nodes next; ``NEVER_MS`` for never."""
        return self._asks[self._told].at_ms if self._told < len(self._asks) else NEVER_MS

    def over_ms(self, workload: Workload, end_ms: int | None) -> int | None:
        """When a simulation that should end at ``end_ms`` does: windows alone could keep it going for ever."""
        if end_ms is not None or not self.is_any:
            return end_ms
        return workload.over_ms - 1 + AFTER_LAST_ARRIVAL_MS

    def hear(self, now_ms: int, broken: Collection[int], runs: Collection[LiveRun]) -> bool:
        """Choose the nodes of all that is asked for by now; answer whether anything was. ``broken`` are nodes' indices."""
        first = self._told
        while self.next_ms <= now_ms:
            ask = self._asks[self._told]
            self._told += 1
            nodes = [
                replace(node, healthy=False) if index in broken else node
                for index, node in enumerate(self._nodes)
                if node.site_id == ask.site and ask.gpu_class in (None, node.gpu_class)
            ]
            here = [run for run in runs if run.site == ask.site]
            if ask.recalls:
                self._recall(ask, nodes, here)
            else:
                self._set_aside(ask, nodes, here)
        return self._told > first

    def _recall(self, ask: Ask, nodes: Sequence[Node], runs: Sequence[LiveRun]) -> None:
        assert ask.nodes is not None and ask.gpu_class is not None
        free, needed = self._recallable(ask, ask.nodes, nodes, runs)
        self.asked += ask.nodes
        self.granted += needed
        if needed:
            chosen = choose_nodes(free, runs, needed, deadline_ms=ask.from_ms, now_ms=ask.at_ms)
            self.recalls.append(
                Recall(
                    site=ask.site,
                    gpu_class=ask.gpu_class,
                    nodes=needed,
                    by_ms=ask.from_ms,
                    asked_ms=ask.at_ms,
                    until_ms=ask.to_ms,
                    node_ids=chosen,
                )
            )

    def _recallable(
        self, ask: Ask, asked: int, nodes: Sequence[Node], runs: Sequence[LiveRun]
    ) -> tuple[Sequence[Node], int]:
        """From which nodes a recall may choose, and how many. Of a site without offers any, whereas a server refuses that: a log
        of recalls tells nothing of the terms on which the nodes were lent."""
        by_ms = ask.from_ms
        recalled = self._recalled_from(by_ms) & {node.id for node in nodes}
        away = recalled | self._reserved_from(by_ms)
        present = [node for node in nodes if node.id not in away]
        if not any(each.site == ask.site for each in self.offers):
            return present, min(asked, len(present))
        opened = [each for each in self.offers if _is_open(each, ask, by_ms)]
        lent = min(len(present), max(0, sum(each.nodes for each in opened) - len(recalled)))
        recallable = sorted(
            (each for each in opened if each.notice_seconds is not None),
            key=lambda each: (each.notice_seconds or 0, each.id),
        )
        left = min(asked, lent, max(0, sum(each.nodes for each in recallable) - len(recalled)))
        terms = _terms_of(recallable, len(recalled), left)
        youngest = _youngest_starts(runs)
        free = [
            node
            for node in _first_lent(present, {node for run in runs for node, _ in run.gang}, lent)
            if _free_ms(terms, ask.at_ms, youngest.get(node.id)) <= by_ms
        ]
        return free, min(left, len(free))

    def _set_aside(self, ask: Ask, nodes: Sequence[Node], runs: Sequence[LiveRun]) -> None:
        chosen = frozenset(node.id for node in nodes)
        if ask.nodes is not None:
            free = [node for node in nodes if node.id not in self._reserved_from(ask.from_ms)]
            needed = min(ask.nodes, len(free))
            chosen = choose_nodes(free, runs, needed, deadline_ms=ask.from_ms, now_ms=ask.at_ms)
        if chosen:
            self.reservations.append(
                Reservation(site=ask.site, from_ms=ask.from_ms, to_ms=ask.to_ms, reason="maintenance", node_ids=chosen)
            )

    def _recalled_from(self, at_ms: int) -> set[NodeId]:
        """Nodes that are recalled at a moment or will be: a second recall of the same node would bring its lender nothing."""
        return {node for each in self.recalls if not _is_over(each.until_ms, at_ms) for node in each.node_ids}

    def _reserved_from(self, at_ms: int) -> set[NodeId]:
        return {node for each in self.reservations if not _is_over(each.to_ms, at_ms) for node in each.node_ids}


def _is_over(end_ms: int | None, at_ms: int) -> bool:
    return end_ms is not None and end_ms <= at_ms


def _is_open(offer: Offer, ask: Ask, at_ms: int) -> bool:
    spell = next(offer.spells(at_ms), None)
    return (offer.site, offer.gpu_class) == (ask.site, ask.gpu_class) and spell is not None and spell[0] <= at_ms


def _terms_of(recallable: Sequence[Offer], recalled: int, count: int) -> list[Offer]:
    """The offers whose nodes ``count`` more recalled ones would be, those with the shortest notice first."""
    found: list[Offer] = []
    begin = 0
    for offer in recallable:
        if begin < recalled + count and begin + offer.nodes > recalled:
            found.append(offer)
        begin += offer.nodes
    return found


def _youngest_starts(runs: Sequence[LiveRun]) -> Mapping[NodeId, int]:
    found: dict[NodeId, int] = {}
    for run in runs:
        for node, _ in run.gang:
            found[node] = max(found.get(node, 0), run.started_ms)
    return found


def _free_ms(terms: Sequence[Offer], asked_ms: int, youngest_ms: int | None) -> int:
    """The earliest deadline by which a node may be taken: after the notice, and the hold of every run on it."""
    return max((offer.recall_earliest_ms(asked_ms, youngest_ms) or asked_ms for offer in terms), default=asked_ms)


def _first_lent(present: Sequence[Node], held: Collection[NodeId], count: int) -> Sequence[Node]:
    """Nodes that are lent, as rounds give nodes to offers: those that runs hold, then idle ones by name, unhealthy last."""
    busy = [node for node in present if node.id in held]
    idle = sorted((node for node in present if node.id not in held), key=lambda node: (not node.healthy, node.name))
    return [*busy, *idle[: max(0, count - len(busy))]]
