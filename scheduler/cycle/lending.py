"""What the sites of a federation lend, kept in step with their nodes, runs, offers, recalls and reservations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from scheduler.cycle.facts import GroupFacts, LiveRun
from scheduler.cycle.lent import Guest, LentNodes, lend
from scheduler.cycle.stay import NEVER_MS, PLAIN, Terms
from scheduler.model.ids import GroupId, NodeId, RunId, SiteId
from scheduler.model.offer import Offer
from scheduler.model.recall import Recall, Reservation
from scheduler.model.site import Node

#: Of each node that is lent the number of its terms, and when it is taken back (ms).
Columns = Mapping[NodeId, tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is known of one site: offers (closed ones too), recalls and reservations. Never changed once it is shown."""

    offers: list[Offer] = field(default_factory=list)
    recalls: list[Recall] = field(default_factory=list)
    reservations: list[Reservation] = field(default_factory=list)


class Lending:
    """Works out anew only what has changed. Not thread-safe."""

    def __init__(self) -> None:
        self._told: Mapping[SiteId, Told] = {}
        self._runs: defaultdict[SiteId, dict[RunId, LiveRun]] = defaultdict(dict)
        self._touched: set[SiteId] = set()
        self._due_ms: dict[SiteId, int] = {}
        self._numbers: dict[Terms, int] = {PLAIN: 0}
        self.at_ms = 0

    @property
    def terms(self) -> tuple[Terms, ...]:
        """Every terms there were, by number."""
        return tuple(self._numbers)

    @property
    def changes_ms(self) -> int:
        """When something opens, closes or is taken back next."""
        return min(self._due_ms.values(), default=NEVER_MS)

    @property
    def told(self) -> Mapping[SiteId, Told]:
        """By site, of those of which anything was told."""
        return self._told

    def copy(self) -> Lending:
        """The same, which from now on changes by itself."""
        twin = Lending()
        twin._told = self._told
        twin._runs.update({site: each.copy() for site, each in self._runs.items()})
        twin._touched, twin._due_ms = self._touched.copy(), self._due_ms.copy()
        twin._numbers, twin.at_ms = self._numbers.copy(), self.at_ms
        return twin

    def set(self, offers: Iterable[Offer], recalls: Iterable[Recall], reservations: Iterable[Reservation]) -> None:
        """Replace them all."""
        told: defaultdict[SiteId, Told] = defaultdict(Told)
        for offer in offers:
            told[offer.site].offers.append(offer)
        for recall in recalls:
            told[recall.site].recalls.append(recall)
        for reservation in reservations:
            told[reservation.site].reservations.append(reservation)
        self._touched |= {*self._told, *told}
        self._told = dict(told)

    def forget(self) -> None:
        """Groups have changed, and with them perhaps of which sector a run is."""
        self._touched.update(self._told)

    def touch(self, site: SiteId) -> None:
        """Nodes of a site have changed."""
        self._touched.add(site)

    def put_run(self, run: LiveRun) -> None:
        """A run holds nodes."""
        self._runs[run.site][run.id] = run
        self._touched.add(run.site)

    def drop_run(self, run: LiveRun) -> None:
        """A run holds them no more."""
        self._runs[run.site].pop(run.id, None)
        self._touched.add(run.site)

    def work_out(
        self, now_ms: int, nodes: Iterable[Node], groups: Mapping[GroupId, GroupFacts]
    ) -> Iterator[tuple[SiteId, Columns | None]]:
        """What has become of sites that lend by offer or have nodes set aside; None for one that lends all it has."""
        back = now_ms < self.at_ms
        self.at_ms = now_ms
        due = {site for site, at_ms in self._due_ms.items() if at_ms <= now_ms or back}
        wanted = {site for site in self._touched | due if site in self._due_ms or site in self._told}
        self._touched.clear()
        if not wanted:
            return
        by_site: defaultdict[SiteId, list[Node]] = defaultdict(list)
        for node in nodes:
            if node.site_id in wanted:
                by_site[node.site_id].append(node)
        for site in sorted(wanted):
            if site not in self._told:
                del self._due_ms[site]
                yield site, None
                continue
            found = self._lend(site, by_site[site], groups, now_ms)
            self._due_ms[site] = found.changes_ms
            yield site, {node: (self._number(each.terms), each.until_ms) for node, each in found.nodes.items()}

    def _number(self, terms: Terms) -> int:
        return self._numbers.setdefault(terms, len(self._numbers))

    def _lend(
        self, site: SiteId, nodes: Sequence[Node], groups: Mapping[GroupId, GroupFacts], now_ms: int
    ) -> LentNodes:
        guests: defaultdict[NodeId, list[Guest]] = defaultdict(list)
        for run in self._runs.get(site, {}).values():
            guest = guest_of(run, groups)
            for node, _ in run.gang:
                guests[node].append(guest)
        told = self._told[site]
        return lend(nodes, guests, told.offers, told.recalls, told.reservations, now_ms)


def guest_of(run: LiveRun, groups: Mapping[GroupId, GroupFacts]) -> Guest:
    """A run as offers look at it."""
    facts = groups.get(run.group)
    return Guest(
        sector=None if facts is None else facts.sector,
        data_class=run.data_class,
        priority=run.priority,
        preemptible=run.preemptible,
        end_ms=NEVER_MS if run.expected_end_ms is None else run.expected_end_ms,
        saves=run.checkpoints,
        groups=_path(run.group, groups),
    )


def _path(group: GroupId, groups: Mapping[GroupId, GroupFacts]) -> frozenset[GroupId]:
    """A group with all that it belongs to, as far as they are known."""
    found: set[GroupId] = set()
    at: GroupId | None = group
    while at is not None:
        found.add(at)
        at = groups[at].parent if at in groups else None
    return frozenset(found)
