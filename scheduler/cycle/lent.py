"""Step 1 of the round: which nodes a site lends now, on whose terms, and until when each is left to its borrowers.

Offers count nodes and do not name them, so nodes are given to offers anew whenever something changes. First come nodes under
a recall that is due, which are lent to nobody but are a part of what was offered; then nodes that runs hold, first those whose
runs cannot save their state, those that few offers let in before others, and longer runs before shorter; then the free ones by
name, in front those that are kept for a group. What a recall to come will take of an offer is lent until then alone, whichever
node stands there. A node that is held goes to an offer that lets its runs in and lasts as long as they need (where some cannot
save their state, as long as these do), the one that ends first of these, else to the one that lasts longest.
So the number of nodes lent is ``capacity.effective_capacity``'s, and no offer lends more than it says.

A node is left to its borrowers until its offer's window ends, its recall is due or its reservation begins, whichever is first;
what another offer opens then does not count. A site without offers lends all it has, as its owner's default. A node that
is reserved for a group is lent to it alone from then on; whoever else runs there leaves.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from scheduler.cycle.stay import NEVER_MS, PLAIN, Terms
from scheduler.model.ids import GroupId, NodeId
from scheduler.model.offer import Offer, Sector
from scheduler.model.recall import Recall, Reservation
from scheduler.model.shape import DataClass
from scheduler.model.site import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A run on a node, as offers look at it. ``end_ms`` is ``NEVER_MS`` where nobody can tell; ``saves``: its state, if told;
    ``groups``: its own and all above it."""

    sector: Sector | None
    data_class: DataClass
    priority: int
    preemptible: bool
    end_ms: int
    saves: bool = True
    groups: frozenset[GroupId] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lent:
    """One node's terms, and when it is taken back (ms, ``NEVER_MS`` for never)."""

    terms: Terms
    until_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LentNodes:
    """What a site lends of its nodes; the others lend nothing. It stays so until ``changes_ms`` if nothing else changes."""

    nodes: Mapping[NodeId, Lent]
    changes_ms: int


@dataclass(slots=True)
class _Slots:
    """An offer whose window is open: what is left of its nodes."""

    offer: Offer
    terms: Terms
    until_ms: int
    left: int

    def lets_in(self, guests: Iterable[Guest]) -> bool:
        """Whether all of them may be on a node of this offer, as if they started now."""
        return all(
            self.terms.lets_in(each.sector, each.data_class, each.groups)
            and self.terms.serves(each.priority)
            and (each.preemptible or self.terms.firm)
            for each in guests
        )


def lend(
    nodes: Collection[Node],
    guests: Mapping[NodeId, Sequence[Guest]],
    offers: Collection[Offer],
    recalls: Collection[Recall],
    reservations: Collection[Reservation],
    now_ms: int,
) -> LentNodes:
    """What one site lends of ``nodes``. All offers, recalls and reservations are the site's own, closed offers included."""
    changes = _Changes(now_ms)
    taken = {node: changes.take_back(node, recalls, reservations) for node in {each.id for each in nodes}}
    found: dict[NodeId, Lent] = {}
    for gpu_class in sorted({each.gpu_class for each in nodes}):
        mine = sorted((each for each in nodes if each.gpu_class == gpu_class), key=lambda each: (each.name, each.id))
        # A node that breaks while it is recalled is recalled still: else another would be lent until it is repaired.
        spans = [span for each in mine if not taken[each.id].reserved for span in taken[each.id].recalls]
        kept = [each for each in mine if each.healthy and not taken[each.id].reserved]
        if not offers:
            free = [each for each in kept if not taken[each.id].recalled]
            found |= {each.id: taken[each.id].lent(PLAIN) for each in free}
            continue
        slots = [
            each for each in map(changes.open_now, offers) if each is not None and each.offer.gpu_class == gpu_class
        ]
        found |= _given(kept, guests, taken, _left_by(spans, slots, now_ms))
    return LentNodes(nodes=found, changes_ms=changes.next_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """What recalls and reservations make of one node: taken already, or to be taken at ``until_ms``.

    ``recalls`` are from when and until when it is or will be recalled. It is kept for the ``holder`` now; what takes it at
    ``until_ms`` may keep it for the ``heir``, who loses it at ``heir_until_ms``.
    """

    recalled: bool
    reserved: bool
    until_ms: int
    recalls: tuple[tuple[int, int], ...]
    holder: GroupId | None
    heir: GroupId | None
    heir_until_ms: int

    def lent(self, terms: Terms, until_ms: int = NEVER_MS) -> Lent:
        """The node on the terms of an offer that lasts until a moment."""
        if self.heir is None or self.until_ms >= until_ms:
            return Lent(terms=replace(terms, holder=self.holder), until_ms=min(until_ms, self.until_ms))
        left_ms = min(until_ms, self.heir_until_ms)
        kept = replace(terms, holder=self.holder, heir=self.heir, heir_until_ms=left_ms)
        return Lent(terms=kept, until_ms=self.until_ms)


class _Changes:
    """Reads what goes by the clock, and notes the first moment at which it goes otherwise."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms
        self.next_ms = NEVER_MS

    def open_now(self, offer: Offer) -> _Slots | None:
        """The offer's nodes while its window is open."""
        spell = next(offer.spells(self._now_ms), None)
        if spell is None:
            return None
        start_ms, end_ms = spell
        self._note(start_ms)
        self._note(end_ms)
        if start_ms > self._now_ms:
            return None
        terms = Terms.of(offer, endless=end_ms is None)
        return _Slots(offer, terms, NEVER_MS if end_ms is None else end_ms, offer.nodes)

    def take_back(self, node: NodeId, recalls: Iterable[Recall], reservations: Iterable[Reservation]) -> _Taken:
        """What is known to take a node, or to keep it for a group."""
        mine = [each for each in reservations if node in each.node_ids]
        recalled = self._spans((each.by_ms, each.until_ms) for each in recalls if node in each.node_ids)
        reserved = self._spans((each.from_ms, each.to_ms) for each in mine if each.group is None)
        kept = [(from_ms, group) for group in _holders(mine) for from_ms, _ in self._spans(_spells(mine, group))]
        takes = [(from_ms, None) for from_ms, _ in (*recalled, *reserved)] + kept
        to_come = sorted((each for each in takes if each[0] > self._now_ms), key=lambda each: (each[0], each[1] or 0))
        until_ms, heir = to_come[0] if to_come else (NEVER_MS, None)
        return _Taken(
            recalled=any(from_ms <= self._now_ms for from_ms, _ in recalled),
            reserved=any(from_ms <= self._now_ms for from_ms, _ in reserved),
            until_ms=until_ms,
            recalls=recalled,
            holder=min((each for each in kept if each[0] <= self._now_ms), default=(0, None))[1],
            heir=heir,
            heir_until_ms=min((from_ms for from_ms, group in to_come if group != heir), default=NEVER_MS),
        )

    def _spans(self, spans: Iterable[tuple[int, int | None]]) -> tuple[tuple[int, int], ...]:
        """Those that are not over, ascending; what overlaps is one."""
        found: list[tuple[int, int]] = []
        for from_ms, to_ms in sorted((from_ms, NEVER_MS if to_ms is None else to_ms) for from_ms, to_ms in spans):
            self._note(from_ms)
            self._note(to_ms)
            if to_ms <= self._now_ms:
                continue
            if found and from_ms <= found[-1][1]:
                found[-1] = found[-1][0], max(found[-1][1], to_ms)
            else:
                found.append((from_ms, to_ms))
        return tuple(found)

    def _note(self, at_ms: int | None) -> None:
        if at_ms is not None and self._now_ms < at_ms < NEVER_MS:
            self.next_ms = min(self.next_ms, at_ms)


def _holders(reservations: Iterable[Reservation]) -> list[GroupId]:
    return sorted({each.group for each in reservations if each.group is not None})


def _spells(reservations: Iterable[Reservation], group: GroupId) -> Iterator[tuple[int, int | None]]:
    return ((each.from_ms, each.to_ms) for each in reservations if each.group == group)


def _given(
    nodes: Sequence[Node],
    guests: Mapping[NodeId, Sequence[Guest]],
    taken: Mapping[NodeId, _Taken],
    slots: Sequence[_Slots],
) -> dict[NodeId, Lent]:
    """Give nodes of one class to offers, those that last longest in front."""
    held = []
    for at, node in enumerate(nodes):
        here = guests.get(node.id)
        if here and not taken[node.id].recalled:
            unsaved = [each.end_ms for each in here if not each.saves]
            end_ms = min(max(unsaved or [each.end_ms for each in here]), taken[node.id].until_ms)
            held.append((not unsaved, sum(each.lets_in(here) for each in slots), -end_ms, at))
    found: dict[NodeId, Lent] = {}

    def give(node: Node, among: Sequence[_Slots], end_ms: int) -> None:
        if among:
            lasting = [each for each in among if each.until_ms >= end_ms]
            chosen = lasting[-1] if lasting else among[0]
            chosen.left -= 1
            found[node.id] = taken[node.id].lent(chosen.terms, chosen.until_ms)

    for _, _, minus_end_ms, at in sorted(held):
        left = [each for each in slots if each.left]
        give(nodes[at], [each for each in left if each.lets_in(guests[nodes[at].id])] or left, -minus_end_ms)
    for node in sorted(nodes, key=lambda each: taken[each.id].holder is None):
        if not guests.get(node.id) and not taken[node.id].recalled:
            give(node, [each for each in slots if each.left], taken[node.id].until_ms)
    return found


def _left_by(recalls: Iterable[tuple[int, int]], slots: Iterable[_Slots], now_ms: int) -> Sequence[_Slots]:
    """What recalls, from and until a moment, leave of offers, those that last longest in front.

    What they take later is lent until then. A recall takes a node of the offer that lasts longest, of one that may be
    recalled if there is any; when its window ends before the recall is over, of another one.
    """
    slots = sorted(slots, key=lambda each: (-each.until_ms, each.offer.id))
    found = list(slots)
    heap = [(max(from_ms, now_ms), to_ms) for from_ms, to_ms in recalls]
    heapq.heapify(heap)
    while heap:
        from_ms, to_ms = heapq.heappop(heap)
        left = [each for each in slots if each.left and each.until_ms > from_ms]
        recallable = [each for each in left if each.offer.notice_seconds is not None]
        for each in (recallable or left)[:1]:
            each.left -= 1
            if from_ms > now_ms:
                found.append(_Slots(each.offer, each.terms, from_ms, 1))
            if each.until_ms < to_ms:
                heapq.heappush(heap, (each.until_ms, to_ms))
    return sorted(found, key=lambda each: (-each.until_ms, each.offer.id))
