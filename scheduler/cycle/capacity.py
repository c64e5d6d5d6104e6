"""How many nodes of a class a site lends, now and at every later moment: the oracle of ``lent``, which names them.

With ``present`` healthy nodes outside maintenance, ``offered`` nodes of offers whose windows are open, ``recalled`` and
``reserved`` (for other groups) ones, a site lends

    lent = max(0, min(present, offered) - recalled - reserved)

so that a recall brings its lender working nodes, whatever else is broken or offered. A site without any offer offers all
it has. Of what is lent, ``firm`` nodes come from offers that are neither recalled nor ever close; whatever takes nodes
takes the others first: ``firm = min(firm offered, lent)``.

Both are exact until ``exact_until_ms``. Later they are a lower bound: what is open then counts until it truly closes,
what opens later does not count. So no drop is missed, however long a run goes on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from scheduler.cycle.step_function import Change, StepFunction, common_times
from scheduler.model.ids import NodeId, SiteId
from scheduler.model.offer import Borrower, Offer
from scheduler.model.recall import Recall, Reservation
from scheduler.model.spell import Spell, by_start, merged


class DropCause(StrEnum):
    """Why fewer nodes are lent from a moment on. Of several causes the first of this order that suffices is told."""

    RECALL = "recall"
    RESERVATION = "reservation"  #: for another group
    MAINTENANCE = "maintenance"
    WINDOW_ENDS = "window_ends"  #: or the whole offer does


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """From ``at_ms`` on a site lends ``nodes_after`` nodes of a class, fewer than just before."""

    at_ms: int
    site: SiteId
    gpu_class: str
    nodes_after: int
    cause: DropCause


@dataclass(frozen=True, slots=True, eq=False)
class Lending:
    """An offer with its calendar worked out: the nodes it lends from a moment on, whoever asks. Build it with ``of``.

    That is the dear part of a capacity and the same for every borrower: keep it until the offer changes or the horizon
    comes too near. ``endless_ms`` is the moment from which it lends without end; None: it never does.
    """

    offer: Offer
    nodes: StepFunction
    endless_ms: int | None
    exact_until_ms: int

    @staticmethod
    def of(offer: Offer, now_ms: int, horizon_ms: int) -> Lending:
        """Work out every spell that begins before the horizon, each to its true end."""
        changes: list[Change] = []
        endless_ms = None
        for spell in offer.spells(now_ms):
            if spell[0] >= horizon_ms:
                break
            changes += _during(spell, offer.nodes)
            endless_ms = spell[0] if spell[1] is None else None
        return Lending(offer, StepFunction.of(now_ms, 0, changes), endless_ms, horizon_ms)

    def is_open(self, now_ms: int) -> bool:
        """Whether it lends at a moment."""
        return self.nodes.at(now_ms) > 0


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Parts:
    """What the number of lent nodes is made of."""

    present: StepFunction
    offered: StepFunction
    recalled: StepFunction
    reserved: StepFunction

    def lent(self) -> StepFunction:
        """The formula of this module."""
        times = common_times((self.present, self.offered, self.recalled, self.reserved))
        there = np.minimum(self.present.over(times), self.offered.over(times))
        return StepFunction(times, np.maximum(there - self.recalled.over(times) - self.reserved.over(times), 0))

    def cause(self, at_ms: int) -> DropCause:
        """Why fewer nodes are lent from ``at_ms`` on, where that is so."""
        if self.recalled.at(at_ms) > self.recalled.at(at_ms - 1):
            return DropCause.RECALL
        if self.reserved.at(at_ms) > self.reserved.at(at_ms - 1):
            return DropCause.RESERVATION
        # Neither grew, so the smaller of the two fell: one of them has fallen below what the smaller was.
        before = min(self.present.at(at_ms - 1), self.offered.at(at_ms - 1))
        return DropCause.MAINTENANCE if self.present.at(at_ms) < before else DropCause.WINDOW_ENDS


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class EffectiveCapacity:
    """Nodes of a class that a site lends to a borrower over time, from ``nodes.start_ms`` on.

    It stays true while time passes, until nodes, offers, recalls or reservations change; only ``exact_until_ms`` comes
    nearer (None: it is exact for good). ``lendings`` are the offers that let the borrower in; none at a site without any.
    """

    site: SiteId
    gpu_class: str
    nodes: StepFunction
    firm: StepFunction
    exact_until_ms: int | None
    lendings: tuple[Lending, ...]
    parts: Parts

    def drop_at(self, at_ms: int) -> Drop | None:
        """The drop of a moment; None where there is none."""
        if at_ms <= self.nodes.start_ms or self.nodes.at(at_ms) >= self.nodes.at(at_ms - 1):
            return None
        cause = self.parts.cause(at_ms)
        return Drop(
            at_ms=at_ms, site=self.site, gpu_class=self.gpu_class, nodes_after=self.nodes.at(at_ms), cause=cause
        )

    def drops(self, now_ms: int) -> Iterator[Drop]:
        """Every known drop after a moment, in order of time."""
        while (found := self.nodes.next_drop(now_ms)) is not None:
            now_ms = found[0]
            drop = self.drop_at(now_ms)
            assert drop is not None
            yield drop

    def notice_seconds(self, now_ms: int) -> int | None:
        """The shortest notice of a recall that the open offers agree on; None: none of them is recalled."""
        open_now = [each.offer.notice_seconds for each in self.lendings if each.is_open(now_ms)]
        return min((notice for notice in open_now if notice is not None), default=None)

    def minimum_hold_ms(self, now_ms: int) -> int:
        """How long a run that starts now has to be left its nodes: the longest hold of the open offers."""
        holds = [each.offer.minimum_hold_seconds for each in self.lendings if each.is_open(now_ms)]
        return max(holds, default=0) * 1000


def effective_capacity(
    site: SiteId,
    gpu_class: str,
    healthy: Collection[NodeId],
    lendings: Iterable[Lending],
    recalls: Iterable[Recall],
    reservations: Iterable[Reservation],
    *,
    borrower: Borrower | None,
    now_ms: int,
) -> EffectiveCapacity:
    """What ``borrower`` may use; None stands for all borrowers together. No lending begins after ``now_ms``.

    ``healthy`` are the site's nodes of the class. Lendings, recalls and reservations may be those of every site, but the
    site's own have to be among them, closed offers included: one offer of any class makes it a site that lends by offer.
    """
    of_site = [each for each in lendings if each.offer.site == site]
    admitted = tuple(
        each
        for each in of_site
        if each.offer.gpu_class == gpu_class and (borrower is None or each.offer.why_not_lent(borrower) is None)
    )
    covering = [each for each in reservations if each.covers(site, gpu_class)]
    out, maintenance = _set_aside(covering, healthy, borrower), _set_aside(covering, healthy, None)
    everything = StepFunction.of(now_ms, len(healthy))
    nothing = StepFunction.of(now_ms, 0)
    parts = Parts(
        present=StepFunction.of(now_ms, len(healthy), _negative(maintenance)),
        offered=StepFunction.total([nothing, *(each.nodes for each in admitted)]) if of_site else everything,
        recalled=StepFunction.of(now_ms, 0, _recalled(site, gpu_class, recalls)),
        reserved=StepFunction.of(now_ms, 0, [*out, *_negative(maintenance)]),
    )
    lent = parts.lent()
    firm_offered = StepFunction.of(now_ms, 0, _firm(admitted)) if of_site else everything
    times = common_times((lent, firm_offered))
    return EffectiveCapacity(
        site=site,
        gpu_class=gpu_class,
        nodes=lent,
        firm=StepFunction(times, np.minimum(lent.over(times), firm_offered.over(times))),
        exact_until_ms=min((each.exact_until_ms for each in admitted), default=None),
        lendings=admitted,
        parts=parts,
    )


def _firm(lendings: Iterable[Lending]) -> Iterator[Change]:
    for lending in lendings:
        if lending.offer.notice_seconds is None and lending.endless_ms is not None:
            yield lending.endless_ms, lending.offer.nodes


def _recalled(site: SiteId, gpu_class: str, recalls: Iterable[Recall]) -> Iterator[Change]:
    for each in recalls:
        if each.site == site and each.gpu_class == gpu_class:
            yield from _during((each.by_ms, each.until_ms), each.nodes)


def _set_aside(
    reservations: Iterable[Reservation], healthy: Collection[NodeId], borrower: Borrower | None
) -> list[Change]:
    """Healthy nodes that reservations keep from a borrower; None: from everybody. A node named twice counts once."""
    changes: list[Change] = []
    named: dict[NodeId, list[Spell]] = {}
    for each in reservations:
        if each.group is not None and (borrower is None or each.group in borrower.groups):
            continue
        spell = (each.from_ms, each.to_ms)
        for node in each.node_ids.intersection(healthy):
            named.setdefault(node, []).append(spell)
        if not each.node_ids:
            changes += _during(spell, len(healthy) if each.nodes is None else each.nodes)
    for spells in named.values():
        for spell in merged(sorted(spells, key=by_start)):
            changes += _during(spell, 1)
    return changes


def _during(spell: Spell, nodes: int) -> Iterator[Change]:
    yield spell[0], nodes
    if spell[1] is not None:
        yield spell[1], -nodes


def _negative(changes: Iterable[Change]) -> Iterator[Change]:
    for at_ms, by in changes:
        yield at_ms, -by
