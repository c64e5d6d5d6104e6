"""How much of what sites reported they had lent at the most, at each moment of the past, by the offers that they had made.

A site that has made an offer lends only inside offers, and no offer lends more nodes than it says. So of a class a site lent
no more GPUs than it reported, and no more than the offers that were open then have nodes, each as large as the largest
one that it reported. Recalls, reservations, terms, and nodes that two offers share only take away.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from scheduler.cycle.certificate_record import ReportedGpus
from scheduler.model.ids import SiteId
from scheduler.model.offer import Offer


class PastOffer(NamedTuple):
    """An offer, closed or not, and when it was made."""

    offer: Offer
    made_ms: int


@dataclass(slots=True)
class _Pool:
    """What is known of a class at a site as time goes on."""

    reported: int = 0
    node_gpus: int = 0
    offered_nodes: int = 0

    def lent(self, *, by_offer: bool) -> int:
        """GPUs that are lent now at the most."""
        return min(self.reported, self.offered_nodes * self.node_gpus) if by_offer else self.reported


def lent_gpus(reported: Sequence[ReportedGpus], offers: Iterable[PastOffer], until_ms: int) -> list[ReportedGpus]:
    """What was lent of ``reported``, in steps until a moment. ``offers`` are all that sites ever made."""
    by_site: defaultdict[SiteId, list[PastOffer]] = defaultdict(list)
    for each in offers:
        by_site[each.offer.site].append(each)
    found = [row for row in reported if row.site not in by_site]
    for site, mine in by_site.items():
        found += _of_site([row for row in reported if row.site == site], mine, until_ms)
    return found


def _of_site(reported: Sequence[ReportedGpus], offers: Sequence[PastOffer], until_ms: int) -> Iterator[ReportedGpus]:
    first_made_ms = min(each.made_ms for each in offers)
    for gpu_class in sorted({row.gpu_class for row in reported}):
        rows = {row.at_ms: row for row in reported if row.gpu_class == gpu_class}
        nodes = _offered_nodes((each for each in offers if each.offer.gpu_class == gpu_class), min(rows), until_ms)
        pool = _Pool()
        moments = sorted({*rows, *nodes, first_made_ms})
        for at_ms in moments:
            row = rows.get(at_ms)
            if row is not None:
                pool.reported, pool.node_gpus = row.gpus, row.node_gpus
            pool.offered_nodes += nodes.get(at_ms, 0)
            lent = pool.lent(by_offer=at_ms >= first_made_ms)
            yield ReportedGpus(offers[0].offer.site, gpu_class, at_ms, lent, pool.node_gpus)


def _offered_nodes(offers: Iterable[PastOffer], from_ms: int, until_ms: int) -> dict[int, int]:
    """By how many nodes the windows that are open grow or shrink, by moment."""
    changes: defaultdict[int, int] = defaultdict(int)
    for offer, made_ms in offers:
        begin_ms = max(made_ms, from_ms)
        spells = itertools.takewhile(lambda spell: spell[0] <= until_ms, offer.spells(begin_ms))
        for start_ms, end_ms in spells:
            changes[max(start_ms, begin_ms)] += offer.nodes
            if end_ms is not None and end_ms <= until_ms:
                changes[max(end_ms, begin_ms)] -= offer.nodes
    return changes
