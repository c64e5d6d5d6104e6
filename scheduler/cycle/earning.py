"""What earns standing at a snapshot's moment, and what costs it: the rates that count until somebody looks again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from quota.standing_rates import standing_rates
from scheduler.cycle.round import Round
from scheduler.cycle.snapshot import SitePool, Snapshot
from scheduler.cycle.standing import StandingKey, StandingNow
from scheduler.model.ids import GroupId, RunId

#: What a group lends, and what it holds above its share, in parts of GPUs.
Rates = tuple[int, int]


def rates_now(snapshot: Snapshot) -> dict[StandingKey, Rates]:
    """Rates of every group and GPU class for which not both are nothing."""
    round_ = Round(snapshot)
    offers = _offers(snapshot)
    found: dict[StandingKey, Rates] = {}
    for gpu_class, usage in round_.usages.items():
        tree, mine = usage.tree, offers.get(gpu_class)
        offered, taken = None, []
        if mine is not None:
            offered = tree.array({group: gpus for group, gpus in mine.offered.items() if group in tree.positions})
            for (lender, user), gpus in mine.taken.items():
                if lender in tree.positions and user in tree.positions:
                    taken.append((tree.positions[lender], tree.positions[user], gpus))
        rates = standing_rates(usage, round_.shares(gpu_class), offered, taken)
        for position in np.flatnonzero(rates.lends + rates.surges).tolist():
            group = GroupId(int(tree.group_ids[position]))
            found[group, gpu_class] = int(rates.lends[position]), int(rates.surges[position])
    return found


def changed_rates(known: StandingNow, rates: Mapping[StandingKey, Rates]) -> dict[StandingKey, Rates]:
    """Those that are not what is counted already."""
    counted = {key: (each.lends, each.surges) for key, each in known.kept.items()}
    nothing = (0, 0)
    return {
        key: rates.get(key, nothing)
        for key in sorted(counted.keys() | rates.keys())
        if rates.get(key, nothing) != counted.get(key, nothing)
    }


@dataclass(frozen=True, slots=True)
class _Offers:
    """GPUs of one class: of nodes that are lent now by lender, and of runs on these by lender and user."""

    offered: Counter[GroupId] = field(default_factory=Counter)
    taken: Counter[tuple[GroupId, GroupId]] = field(default_factory=Counter)


def _offers(snapshot: Snapshot) -> dict[str, _Offers]:
    lenders = [each.lender for each in snapshot.terms]
    found: dict[str, _Offers] = {}
    if not any(each is not None for each in lenders):
        return found
    for (_, gpu_class), pool in snapshot.pools.items():
        lent = _lent_nodes(pool, lenders)
        if lent:
            _count(snapshot, pool, lent, found.setdefault(gpu_class, _Offers()))
    return found


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
