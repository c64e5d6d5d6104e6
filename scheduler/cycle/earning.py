"""What earns standing at a snapshot's moment, and what costs it: the rates that count until somebody looks again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from quota.admission import Usage
from quota.fair_share import fair_share
from quota.standing_rates import standing_rates
from quota.tree import ClassTree, IntArray
from scheduler.cycle.round import Round
from scheduler.cycle.snapshot import SitePool, Snapshot
from scheduler.cycle.standing import StandingKey, StandingNow
from scheduler.model.ids import GroupId, RunId

#: What a group lends, and what it holds above its share, in parts of GPUs.
Rates = tuple[int, int]

Pools = tuple[SitePool, ...]


def rates_now(snapshot: Snapshot) -> dict[StandingKey, Rates]:
    """Rates of every group and GPU class for which not both are nothing."""
    return Earnings().changed(snapshot)


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """All that the rates of a GPU class follow from, and these."""

    tree: ClassTree
    capacity: int
    own: IntArray
    demand: IntArray
    pools: Pools
    rates: Mapping[StandingKey, Rates]

    def is_of(self, tree: ClassTree, capacity: int, own: IntArray, demand: IntArray, pools: Pools) -> bool:
        """Whether it is so now. A pool that is the same object has the same nodes, terms and runs."""
        return (
            tree is self.tree
            and capacity == self.capacity
            and len(pools) == len(self.pools)
            and all(one is other for one, other in zip(pools, self.pools, strict=True))
            and np.array_equal(own, self.own)
            and np.array_equal(demand, self.demand)
        )


class Earnings:
    """Looks at one moment after the other of a federation, and works out anew the GPU classes of which something has changed."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def changed(self, snapshot: Snapshot) -> dict[StandingKey, Rates]:
        """Those of ``rates_now`` that were not the same at the last look, at the first all; (0, 0) for what is nothing now."""
        round_, seen, found = Round(snapshot), dict[str, _Seen](), dict[StandingKey, Rates]()
        for gpu_class, own in round_.owns.items():
            pools = tuple(pool for (_, each), pool in snapshot.pools.items() if each == gpu_class)
            now = (
                snapshot.tree.of_class(gpu_class),
                snapshot.capacity(gpu_class),
                own,
                round_.demands[gpu_class],
                pools,
            )
            known = self._seen.get(gpu_class)
            if known is None or not known.is_of(*now):
                before, known = {} if known is None else known.rates, _Seen(*now, _rates(snapshot, *now))
                found |= _differences(before, known.rates)
            seen[gpu_class] = known
        for gpu_class in self._seen.keys() - seen.keys():
            found |= _differences(self._seen[gpu_class].rates, {})
        self._seen = seen
        return found


def _rates(
    snapshot: Snapshot, tree: ClassTree, capacity: int, own: IntArray, demand: IntArray, pools: Pools
) -> dict[StandingKey, Rates]:
    mine = _offers(snapshot, pools)
    offered, taken = None, []
    if mine is not None:
        offered = tree.array({group: gpus for group, gpus in mine.offered.items() if group in tree.positions})
        for (lender, user), gpus in mine.taken.items():
            if lender in tree.positions and user in tree.positions:
                taken.append((tree.positions[lender], tree.positions[user], gpus))
    rates = standing_rates(Usage(tree, capacity, own), fair_share(tree, demand, capacity), offered, taken)
    return {
        (GroupId(int(tree.group_ids[at])), tree.gpu_class): (int(rates.lends[at]), int(rates.surges[at]))
        for at in np.flatnonzero(rates.lends + rates.surges).tolist()
    }


def changed_rates(known: StandingNow, rates: Mapping[StandingKey, Rates]) -> dict[StandingKey, Rates]:
    """Those that are not what is counted already."""
    return _differences({key: (each.lends, each.surges) for key, each in known.kept.items()}, rates)


def _differences(before: Mapping[StandingKey, Rates], rates: Mapping[StandingKey, Rates]) -> dict[StandingKey, Rates]:
    nothing = (0, 0)
    return {
        key: rates.get(key, nothing)
        for key in sorted(before.keys() | rates.keys())
        if rates.get(key, nothing) != before.get(key, nothing)
    }


@dataclass(frozen=True, slots=True)
class _Offers:
    """GPUs of one class: of nodes that are lent now by lender, and of runs on these by lender and user."""

    offered: Counter[GroupId] = field(default_factory=Counter)
    taken: Counter[tuple[GroupId, GroupId]] = field(default_factory=Counter)


def _offers(snapshot: Snapshot, pools: Pools) -> _Offers | None:
    """What is lent of some pools; None where no node of them is lent by an offer of a group."""
    lenders = [each.lender for each in snapshot.terms]
    found = _Offers()
    if any(each is not None for each in lenders):
        for pool in pools:
            lent = _lent_nodes(pool, lenders)
            if lent:
                _count(snapshot, pool, lent, found)
    return found if found.offered else None


def _lent_nodes(pool: SitePool, lenders: list[GroupId | None]) -> dict[int, GroupId]:
    """By index of a pool's nodes, those that an offer of a group lends now."""
    terms = pool.pool.terms  # of what is not lent plain ones, which have no lender
    if terms is None:
        return {}
    numbers = [number for number, lender in enumerate(lenders) if lender is not None]
    found = {}
    for at in np.flatnonzero(np.isin(terms, numbers)).tolist():
        lender = lenders[int(terms[at])]
        if lender is not None:
            found[at] = lender
    return found


def _count(snapshot: Snapshot, pool: SitePool, lent: dict[int, GroupId], offers: _Offers) -> None:
    runs: set[RunId] = set()
    for at, lender in lent.items():
        node = pool.node_ids[at]
        offers.offered[lender] += snapshot.nodes[node].gpus
        runs.update(snapshot.runs_on.get(node, ()))
    for each in sorted(runs):
        run = snapshot.runs[each]
        for node, workers in run.gang:
            lender_of = lent.get(pool.index.get(node, -1))
            if lender_of is not None:
                offers.taken[lender_of, run.group] += workers * run.gpus_per_worker
