"""What a site does not lend to a job: on which term that hangs, and when it lends more by the clock alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from itertools import islice

import numpy as np

from scheduler.cycle.lending import Told
from scheduler.cycle.round import Queue, Round
from scheduler.cycle.stay import NEVER_MS, Terms
from scheduler.model.offer import Offer
from scheduler.placement.pool import BoolArray

#: So many spells of an offer are looked at: whoever fits in none of them has to wait for something else.
SPELLS_MAX = 16


class Term(StrEnum):
    """Which term of what is lent keeps a job out; of several the first."""

    GROUP = "group"  #: it is reserved for another group
    SECTOR = "sector"
    DATA_CLASS = "data_class"
    PRIORITY = "priority"
    RECALLABLE = "recallable"  #: the job cannot be preempted, and the nodes may be called back
    CELLS = "cells"  #: likewise, and the nodes are for the firm work of others
    TOO_SHORT = "too_short"  #: the job would neither be over nor have saved its state in time


def term_against(round_: Round, queue: Queue, terms: Terms) -> Term | None:
    """What keeps the head of a class off a node that is lent on some terms, for however long; None: nothing does.

    ``Terms.lets_in``, ``serves`` and ``lets_firm_in`` say together whether anything does.
    """
    snapshot, shape = round_.snapshot, queue.shape
    sector, groups = snapshot.groups[queue.group].sector, snapshot.path(queue.group)
    if terms.holder is not None and terms.holder not in groups:
        return Term.GROUP
    if terms.sectors and sector not in terms.sectors:
        return Term.SECTOR
    if not terms.lets_in(sector, shape.data_class, groups):
        return Term.DATA_CLASS
    if not terms.serves(queue.priority):
        return Term.PRIORITY
    if shape.preemptible or terms.lets_firm_in(queue.group, groups):
        return None
    return Term.CELLS if terms.firm else Term.RECALLABLE


def is_lent(round_: Round, number: int) -> BoolArray:
    """Which nodes of a pool are well and lent now, to whomever."""
    pool = round_.site_pools[number]
    well = np.ones(len(pool.node_ids), np.bool_) if pool.well is None else pool.well
    return well if pool.pool.until_ms is None else well & (pool.pool.until_ms > 0)


def gpus_kept(round_: Round, queue: Queue, number: int) -> Counter[Term]:
    """GPUs of a pool, free or not, that its site lends now, but not to the head of a class: by what keeps it out."""
    pool, found = round_.site_pools[number], Counter[Term]()
    usable = round_.usable_by(queue, number)
    if pool.pool.terms is None or usable is None:
        return found
    for at in np.flatnonzero(is_lent(round_, number) & ~usable).tolist():
        terms = round_.snapshot.terms[int(pool.pool.terms[at])]
        found[term_against(round_, queue, terms) or Term.TOO_SHORT] += round_.snapshot.nodes[pool.node_ids[at]].gpus
    return found


def term_in_the_way(round_: Round, queue: Queue, number: int) -> Term | None:
    """On what it hangs that of a pool nothing is lent to the head of a class: the term that keeps it off most GPUs.

    None where something is lent to it, or nothing to anybody.
    """
    usable, kept = round_.usable_by(queue, number), gpus_kept(round_, queue, number)
    if not kept or usable is None or usable.any():
        return None
    return max(Term, key=lambda term: kept[term])


def openings(round_: Round, queue: Queue, number: int, spells_max: int = SPELLS_MAX) -> Iterator[int]:
    """Moments (ms) after this one at which a pool's site begins to lend something to the head of a class: windows of offers
    that let it in open. In no order, some twice, of each offer's next ``spells_max`` spells."""
    pool, now_ms = round_.site_pools[number], round_.snapshot.now_ms
    for offer in round_.snapshot.told.get(pool.site, Told()).offers:
        if offer.gpu_class != pool.gpu_class:
            continue
        for start_ms, end_ms in islice(offer.spells(now_ms), spells_max):
            if start_ms > now_ms and _lets_in(round_, queue, offer, endless=end_ms is None):
                yield start_ms


def returns(round_: Round, number: int) -> Iterator[int]:
    """Moments (ms) after this one at which what recalls and reservations took of a pool is lent again. In no order."""
    pool, now_ms = round_.site_pools[number], round_.snapshot.now_ms
    told = round_.snapshot.told.get(pool.site, Told())
    here = frozenset(pool.node_ids)
    ends = [each.until_ms for each in told.recalls if each.node_ids & here]
    ends += [each.to_ms for each in told.reservations if each.node_ids & here]
    yield from (each for each in ends if each is not None and now_ms < each < NEVER_MS)


def opens_ms(round_: Round, queue: Queue, number: int) -> int | None:
    """When a pool's site begins to lend more to the head of a class, as far as the clock alone tells, for however long; None:
    nobody knows."""
    first = min(openings(round_, queue, number, 2), default=None)  # one may be open now
    return min(returns(round_, number), default=None) if first is None else first


def _lets_in(round_: Round, queue: Queue, offer: Offer, *, endless: bool) -> bool:
    return term_against(round_, queue, Terms.of(offer, endless=endless)) is None
