"""What other quotas would do: the real round on the federation as it stands, and on the same with the quotas changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from quota.admission import Usage
from quota.tree import Quota, QuotaTree
from scheduler.cycle.cells import with_cells
from scheduler.cycle.decide import decide
from scheduler.cycle.plan import Plan, StopCause
from scheduler.cycle.round import Round
from scheduler.cycle.shape_table import GPUS
from scheduler.cycle.snapshot import Snapshot
from scheduler.cycle.starts import StartTable
from scheduler.cycle.use import cells_effective
from scheduler.model.ids import GroupId

QuotaKey = tuple[GroupId, str]  #: group, GPU class


@dataclass(frozen=True, slots=True)
class Count:
    """How many jobs or runs, and the GPUs that they hold together."""

    number: int = 0
    gpus: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.number + other.number, self.gpus + other.gpus)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A group and a GPU class under one policy, in GPUs, the subtree included.

    ``used`` is the use of now, which no change of a policy changes. ``used_next`` is the use once the next round is applied:
    with what it starts and holds, without what it stops and what is leaving already.
    """

    quota: Quota
    guaranteed_effective: int
    fair_share: int
    used: int
    used_next: int
    cells_effective: int = 0  #: of its cells, those that have a place


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What one policy makes of a moment.

    ``starts`` of the next round are by the group whose jobs they are, ``stops`` by the group whose runs they are.
    ``above_limit``: where more is used now than the limit allows.
    """

    holdings: Mapping[QuotaKey, Holding]
    starts: Mapping[QuotaKey, Count]
    stops: Mapping[tuple[GroupId, str, StopCause], Count]
    above_limit: frozenset[QuotaKey]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A policy as it stands and as it would be. Both sides have holdings of the same groups and classes."""

    before: Outlook
    after: Outlook


def preview(snapshot: Snapshot, changes: Mapping[QuotaKey, Quota]) -> Preview:
    """The next round without and with ``changes``.

    Standings are of what the changes name and, where something becomes different, of the groups above and beside it, in the
    tree's order. Raises ``quota.errors.TreeError`` for quotas that cannot be.
    """
    keys = _concerned(snapshot.tree, changes)
    before = _outlook(snapshot, keys)
    after = _outlook(with_quotas(snapshot, changes), keys)
    shown = [key for key in keys if key in changes or before.holdings[key] != after.holdings[key]]
    return Preview(before=_showing(before, shown), after=_showing(after, shown))


def with_quotas(snapshot: Snapshot, changes: Mapping[QuotaKey, Quota]) -> Snapshot:
    """The same moment under another policy."""
    tree = snapshot.tree.with_quotas({(int(at), name): new for (at, name), new in changes.items()})
    return with_cells(replace(snapshot, tree=tree))


def _concerned(tree: QuotaTree, changes: Iterable[QuotaKey]) -> list[QuotaKey]:
    """What is named, and the groups on the way up and beside it, by position and class."""
    found = set()
    for named, gpu_class in changes:
        path = tree.path(named)
        beside = tree.children[path[-2]] if len(path) > 1 else ()
        found |= {(GroupId(group), gpu_class) for group in (*path, *beside)}
    return sorted(found, key=lambda key: (tree.positions[key[0]], key[1]))


def _outlook(snapshot: Snapshot, keys: Iterable[QuotaKey]) -> Outlook:
    plan = decide(snapshot, 0)
    now = Round(snapshot)
    starts = _starts(snapshot, plan)
    stops: defaultdict[tuple[GroupId, str, StopCause], Count] = defaultdict(Count)
    for stop in plan.stops:
        run = snapshot.runs[stop.run]
        stops[run.group, run.gpu_class, stop.cause] += Count(1, run.gpus)
    nexts = _next_usages(snapshot, now, plan, starts)
    for redeemed in plan.redeemed:
        gpus = redeemed.workers * snapshot.shapes[redeemed.shape].gpus_per_worker
        starts[redeemed.group, redeemed.gpu_class] += Count(1, gpus)
    return Outlook(
        holdings={key: _holding(snapshot, now, nexts, key) for key in keys},
        starts=starts,
        stops=stops,
        above_limit=frozenset(
            (GroupId(int(usage.tree.group_ids[position])), gpu_class)
            for gpu_class, usage in now.usages.items()
            for position in np.flatnonzero(usage.used > usage.tree.limit)
        ),
    )


def _starts(snapshot: Snapshot, plan: Plan) -> defaultdict[QuotaKey, Count]:
    """What is started on free nodes: counted in columns, since a round may start everything there is."""
    assert isinstance(plan.starts, StartTable)
    table, shapes = snapshot.table, snapshot.shapes
    names = snapshot.offered_classes
    columns = plan.starts.columns
    number = np.array([names.index(gpu_class) for _, gpu_class in snapshot.pools], np.int64)[columns.pool]
    shape = shapes.columns[:, shapes.indices(table.shape[columns.row])]
    parts = np.diff(np.append(columns.first_part, len(columns.workers)))
    workers = np.bincount(np.repeat(np.arange(len(parts)), parts), weights=columns.workers, minlength=len(parts))
    gpus = workers * shape[GPUS]
    keys, inverse = np.unique(np.stack([table.group[columns.row], number]), axis=1, return_inverse=True)
    counts = np.bincount(inverse.ravel(), minlength=keys.shape[1])
    sums = np.bincount(inverse.ravel(), weights=gpus, minlength=keys.shape[1])
    found: defaultdict[QuotaKey, Count] = defaultdict(Count)
    for (group, at), jobs, amount in zip(keys.T.tolist(), counts.tolist(), sums.tolist(), strict=True):
        found[GroupId(group), names[at]] = Count(jobs, int(amount))
    return found


def _next_usages(snapshot: Snapshot, now: Round, plan: Plan, starts: Mapping[QuotaKey, Count]) -> dict[str, Usage]:
    """Use once the plan is applied and what leaves is gone. What is redeemed was charged when it was earmarked."""
    usages = {gpu_class: usage.copy() for gpu_class, usage in now.usages.items()}
    for gpu_class, usage in usages.items():
        for group, gpus in snapshot.leaving(gpu_class):
            usage.release(group, gpus)
    for (group, gpu_class), count in starts.items():
        usages[gpu_class].charge(group, count.gpus)
    for earmark in (*plan.earmarks, *plan.sizes):
        gpus = earmark.workers * snapshot.shapes[earmark.shape].gpus_per_worker
        usages[earmark.gpu_class].charge(earmark.group, gpus)
    for stop in plan.stops:
        run = snapshot.runs[stop.run]
        if stop.cause is StopCause.MOVED:  # its job holds as much where it goes on
            continue
        usages[run.gpu_class].release(run.group, run.gpus)
    for job in plan.withdrawn:
        held = snapshot.earmarks[job]
        if held.gpu_class not in usages:  # its last node is gone
            continue
        gpus = held.workers * snapshot.shapes[held.job.shape].gpus_per_worker
        usages[held.gpu_class].release(held.job.group, gpus)
    return usages


def _holding(snapshot: Snapshot, now: Round, nexts: Mapping[str, Usage], key: QuotaKey) -> Holding:
    group, gpu_class = key
    quota, position = snapshot.tree.quota(group, gpu_class), snapshot.tree.positions[group]
    if gpu_class not in nexts:  # nobody has it and no quota names it yet
        return Holding(quota=quota, guaranteed_effective=0, fair_share=0, used=0, used_next=0)
    usage = now.usages[gpu_class]
    return Holding(
        quota=quota,
        guaranteed_effective=int(usage.guaranteed[position]),
        fair_share=now.shares(gpu_class).of(group),
        used=int(usage.used[position]),
        used_next=int(nexts[gpu_class].used[position]),
        cells_effective=cells_effective(snapshot, group, gpu_class) if quota.cells else 0,
    )


def _showing(outlook: Outlook, keys: Collection[QuotaKey]) -> Outlook:
    return replace(outlook, holdings={key: outlook.holdings[key] for key in keys})
