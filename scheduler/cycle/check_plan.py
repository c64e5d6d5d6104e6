"""Whether a plan is lawful, by adding up: written apart from the round, so that neither hides the other's mistake."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quota.admission import Usage
from scheduler.cycle.check_cells import wrong_cells
from scheduler.cycle.check_moves import wrong_moves
from scheduler.cycle.check_reservations import wrong_reservations
from scheduler.cycle.check_sizes import gpus_dropped, gpus_grown, wrong_sizes
from scheduler.cycle.check_stops import overfull_soon, start_of, wrong_earmarks, wrong_stops
from scheduler.cycle.plan import Plan, StopCause
from scheduler.cycle.shape_table import CHOICE, FIRM, GPUS, LOOSEST, MEMORY, WORKERS, WORKERS_MOST
from scheduler.cycle.snapshot import Snapshot, takes_work
from scheduler.cycle.started import Started
from scheduler.cycle.verdicts import Verdicts
from scheduler.model.ids import GroupId, JobId, NodeId
from scheduler.placement.arrays import SITE
from scheduler.placement.pool import IntArray


class Law(StrEnum):
    """What a plan can break."""

    NOT_WAITING = "not_waiting"  #: a job that does not wait, or twice
    WRONG_GANG = "wrong_gang"  #: not all workers, unknown nodes, or nodes of several sites
    NODE_OVERFULL = "node_overfull"  #: more GPUs, CPUs or memory than are free
    SITE_CLOSED = "site_closed"
    DATA_CLASS = "data_class"
    TOPOLOGY = "topology"  #: not within one domain of the level that the job requires
    LENT = "lent"  #: not lent to such work, or not for as long as it needs
    CHECKPOINT_SITE = "checkpoint_site"
    REFUSED = "refused"  #: at a site that refused the job and is not asked again yet
    WRONG_GPU_CLASS = "wrong_gpu_class"
    QUOTA = "quota"  #: a group holds more than its ceiling, or the federation more than there is
    GUARANTEE = "guarantee"  #: non-preemptible work above its group's guarantee
    STOP = "stop"  #: a run that may not be ended, or not for this job
    MOVE = "move"  #: a run that may not be moved, or not to there
    SIZE = "size"  #: a gang with a number of workers that it may not have, or not there
    CELL = "cell"  #: not to be called back from another group's cell, or ended in a cell of its own
    RESERVED = "reserved"  #: in the way, when its time comes, of a job for which nodes are reserved
    EARMARK = "earmark"  #: redeemed or withdrawn without one, or on other nodes
    NO_VERDICT = "no_verdict"  #: a class that waits on without a reason


@dataclass(frozen=True, slots=True)
class Violation:
    """One law broken, with what broke it."""

    law: Law
    detail: str


def check_plan(snapshot: Snapshot, plan: Plan) -> tuple[Violation, ...]:
    """Everything that is wrong with a plan; empty for a lawful one."""
    started = Started.of(snapshot, plan.starts)
    pledged = Started.of(snapshot, [start_of(earmark) for earmark in plan.earmarks])
    jobs = np.concatenate((started.job[started.row < 0], pledged.job[pledged.row < 0])).tolist()
    if len(pledged):
        jobs += np.intersect1d(started.job, pledged.job).tolist()
    if jobs:  # of what else they would break nothing can be said
        return tuple(Violation(Law.NOT_WAITING, f"job {job}") for job in jobs)
    return (
        *(wrong for each in (started, pledged) if len(each) for wrong in _check_gangs(snapshot, each)),
        *_check_nodes(snapshot, started),
        *_check_quotas(snapshot, plan, started, pledged),
        *_check_verdicts(snapshot, plan, started, pledged),
        *(Violation(Law.RESERVED, detail) for detail in wrong_reservations(snapshot, plan)),
        *(Violation(Law.EARMARK, detail) for detail in wrong_earmarks(snapshot, plan)),
        *(Violation(Law.STOP, detail) for detail in wrong_stops(snapshot, plan)),
        *(Violation(Law.MOVE, detail) for detail in wrong_moves(snapshot, plan)),
        *(Violation(Law.CELL, detail) for detail in wrong_cells(snapshot, plan)),
        *(Violation(Law.SIZE, detail) for detail in wrong_sizes(snapshot, plan)),
        *(Violation(Law.NODE_OVERFULL, detail) for detail in overfull_soon(snapshot, plan)),
    )


def _check_gangs(snapshot: Snapshot, started: Started) -> Iterator[Violation]:
    """Where gangs lie."""
    yield from _check_places(snapshot, started)
    yield from _check_topology(snapshot, started)
    yield from _check_lent(snapshot, started)


def _shape_columns(snapshot: Snapshot, started: Started) -> IntArray:
    return snapshot.shapes.columns[:, snapshot.shapes.indices(snapshot.table.shape[started.row])]


def _check_places(snapshot: Snapshot, started: Started) -> Iterator[Violation]:
    """Checkpoints; site, data class and GPU class once for each combination; then every gang."""
    pools, table = tuple(snapshot.pools.values()), snapshot.table
    sites = np.array([site for site, _ in snapshot.pools] + [0])[started.pool]
    bound = table.bound_site[started.row]
    for number in np.flatnonzero((bound != 0) & (bound != sites)).tolist():
        yield Violation(Law.CHECKPOINT_SITE, f"job {started.job[number]}")
    kept_off = np.isin(started.job, list(table.kept_off)) if table.kept_off else ()
    for number in np.flatnonzero(kept_off).tolist():
        if sites[number] in table.kept_off[JobId(int(started.job[number]))].refused_by:
            yield Violation(Law.REFUSED, f"job {started.job[number]}")
    shapes = _shape_columns(snapshot, started)
    for column, laws in ((table.venue[started.row], _laws_of_venue), (shapes[CHOICE], _laws_of_choice)):
        codes = column * (len(pools) + 1) + started.pool + 1
        for code in sorted(set(codes.tolist())):
            kind, pool = divmod(code, len(pools) + 1)
            for law in laws(snapshot, kind, pool - 1):
                yield from (Violation(law, f"job {job}") for job in started.job[codes == code].tolist())
    first = _first_nodes(snapshot)
    pool = started.pool[started.start_of]
    inside = (started.node >= first[pool]) & (started.node < first[pool + 1]) & (started.workers > 0)
    workers = started.gang_sizes
    wrong = (workers < shapes[WORKERS]) | (workers > shapes[WORKERS_MOST])
    wrong[started.start_of[~inside]] = True
    for number in np.flatnonzero(wrong).tolist():
        asked = snapshot.shapes[table.key(int(started.row[number]))[1]].workers
        yield Violation(Law.WRONG_GANG, f"job {started.job[number]} has {workers[number]} of {asked} workers")


def _check_lent(snapshot: Snapshot, started: Started) -> Iterator[Violation]:
    """Every node of every gang, where a site lends some to some, or for some time."""
    pools, table = tuple(snapshot.pools.values()), snapshot.table
    by_terms = np.array([pool.pool.terms is not None for pool in pools] + [False], np.bool_)
    if not by_terms.any():
        return
    first = _first_nodes(snapshot)
    for part in np.flatnonzero(by_terms[started.pool[started.start_of]] & (started.node >= 0)).tolist():
        start = int(started.start_of[part])
        row, pool = int(started.row[start]), int(started.pool[start])
        jobs = table.turns[:, table.start[row] : table.stop[row]]
        priority = -int(jobs[0, jobs[2] == started.job[start]][0])
        if not snapshot.may_use(pools[pool], int(started.node[part] - first[pool]), table.key(row), priority):
            yield Violation(Law.LENT, f"job {started.job[start]} on node {int(started.node[part])}")


def _check_topology(snapshot: Snapshot, started: Started) -> Iterator[Violation]:
    """Every gang whose job requires a level."""
    demanding = _shape_columns(snapshot, started)[LOOSEST] != SITE
    if not demanding.any():
        return
    parts = np.flatnonzero(demanding[started.start_of] & (started.node >= 0))
    domains: defaultdict[int, set[tuple[str, ...]]] = defaultdict(set)
    for number, node in zip(started.start_of[parts].tolist(), _node_ids(snapshot, started.node[parts]), strict=True):
        required = snapshot.shapes[snapshot.table.key(int(started.row[number])).shape].required
        domains[number].add(snapshot.nodes[node].domain_at(required))
    for number, found in domains.items():
        if len(found) > 1:
            yield Violation(Law.TOPOLOGY, f"job {started.job[number]} lies in {len(found)} domains of its level")


def _laws_of_venue(snapshot: Snapshot, venue: int, pool: int) -> Iterator[Law]:
    """What a class of this venue breaks on this pool."""
    if pool < 0:
        return
    clearance = snapshot.table.venues[venue].clearance
    site = snapshot.sites[tuple(snapshot.pools)[pool][0]]
    if not takes_work(site):
        yield Law.SITE_CLOSED
    if snapshot.rule_against(clearance, site) is not None:
        yield Law.DATA_CLASS


def _laws_of_choice(snapshot: Snapshot, choice: int, pool: int) -> Iterator[Law]:
    names = snapshot.shapes.choices[choice] or snapshot.offered_classes
    if pool < 0 or tuple(snapshot.pools)[pool][1] not in names:
        yield Law.WRONG_GPU_CLASS


def _check_nodes(snapshot: Snapshot, started: Started) -> Iterator[Violation]:
    """What starts and what runs, added up on every node that something starts on."""
    known = started.node >= 0
    if not known.any():
        return
    numbers, at = np.unique(started.node[known], return_inverse=True)
    columns = _shape_columns(snapshot, started)[GPUS : MEMORY + 1, started.start_of[known]] * started.workers[known]
    use = np.zeros((3, len(numbers)), np.int64)
    for amount in range(3):
        np.add.at(use[amount], at, columns[amount])
    touched = dict(zip(_node_ids(snapshot, numbers), use.T.tolist(), strict=True))
    for run_id in {run_id for node_id in touched for run_id in snapshot.runs_on.get(node_id, ())}:
        run = snapshot.runs[run_id]
        _hold(touched, run.gang, (run.gpus_per_worker, run.cpus_per_worker, run.memory_mib_per_worker))
    for earmark in snapshot.earmarks.values():
        shape = snapshot.shapes[earmark.job.shape]
        _hold(touched, earmark.gang, (shape.gpus_per_worker, shape.cpus_per_worker, shape.memory_mib_per_worker))
    for node_id, (gpus, cpus, memory_mib) in touched.items():
        node = snapshot.nodes[node_id]
        if not node.healthy or gpus > node.gpus or cpus > node.cpus or memory_mib > node.memory_mib:
            yield Violation(Law.NODE_OVERFULL, f"node {node.name} would hold {(gpus, cpus, memory_mib)}")


def _first_nodes(snapshot: Snapshot) -> IntArray:
    """Where each pool's nodes begin among all, and where the last one's end."""
    sizes = tuple([len(pool.node_ids) for pool in snapshot.pools.values()])
    return snapshot.kept.of("first_nodes", sizes, lambda: np.concatenate(([0], np.cumsum(sizes, dtype=np.int64))))


def _node_ids(snapshot: Snapshot, numbers: IntArray) -> list[NodeId]:
    """Nodes by their numbers among all pools' nodes."""
    first, pools = _first_nodes(snapshot), tuple(snapshot.pools.values())
    owners = np.searchsorted(first, numbers, side="right") - 1
    places = zip(owners.tolist(), (numbers - first[owners]).tolist(), strict=True)
    return [pools[owner].node_ids[at] for owner, at in places]


def _hold(touched: dict[NodeId, list[int]], gang: Iterable[tuple[NodeId, int]], amounts: tuple[int, int, int]) -> None:
    for node_id, workers in gang:
        held = touched.get(node_id)
        if held is not None:
            for at, amount in enumerate(amounts):
                held[at] += workers * amount


def _check_quotas(snapshot: Snapshot, plan: Plan, started: Started, pledged: Started) -> Iterator[Violation]:
    """Starts beside all that is used; then, if anything is held, all of it beside what stays."""
    if len(started):
        now = {gpu_class: snapshot.use(gpu_class).counted for gpu_class in snapshot.uses}
        yield from _check_bounds(snapshot, _Added.of(snapshot, started), now)
    if not plan.earmarks and not plan.sizes:
        return
    soon = {gpu_class: snapshot.use(gpu_class).own.copy() for gpu_class in snapshot.uses}
    positions = snapshot.tree.positions
    for stop in plan.stops:
        run = snapshot.runs.get(stop.run)
        if run is not None and stop.cause in (StopCause.PREEMPTED, StopCause.RECLAIMED, StopCause.RECALLED):
            soon[run.gpu_class][positions[run.group]] -= run.gpus
    for gpu_class, group, gpus in gpus_dropped(snapshot, plan):
        soon[gpu_class][positions[group]] -= gpus
    added = (_Added.of(snapshot, started), _Added.of(snapshot, pledged), _Added.grown(gpus_grown(snapshot, plan)))
    yield from _check_bounds(snapshot, _Added.together(added), soon)


class _Added(NamedTuple):
    """What groups come to use more, by gang: GPU class, group, GPUs, and whether it cannot be preempted."""

    gpu_class: NDArray[np.str_]
    group: IntArray
    gpus: IntArray
    firm: IntArray

    @staticmethod
    def of(snapshot: Snapshot, started: Started) -> _Added:
        """What starts."""
        columns = _shape_columns(snapshot, started)
        classes = np.array([gpu_class for _, gpu_class in snapshot.pools] + [""])[started.pool]
        gpus = started.gang_sizes * columns[GPUS]
        return _Added(classes, snapshot.table.group[started.row], gpus, columns[FIRM])

    @staticmethod
    def grown(gangs: Iterable[tuple[str, GroupId, int]]) -> _Added:
        """What runs get besides; such runs can be preempted."""
        listed = list(gangs)
        numbers = np.array([(group, gpus) for _, group, gpus in listed], np.int64).reshape(-1, 2).T
        names = np.array([each[0] for each in listed], np.str_)
        return _Added(names, numbers[0], numbers[1], np.zeros(len(listed), np.int64))

    @staticmethod
    def together(parts: Sequence[_Added]) -> _Added:
        """All of them, one after the other."""
        gpu_class = np.concatenate([each.gpu_class for each in parts])
        group, gpus = np.concatenate([each.group for each in parts]), np.concatenate([each.gpus for each in parts])
        return _Added(gpu_class, group, gpus, np.concatenate([each.firm for each in parts]))


def _check_bounds(snapshot: Snapshot, added: _Added, use: Mapping[str, IntArray]) -> Iterator[Violation]:
    """What is ``added`` to ``use`` may not break a bound, nor raise what is held above one already."""
    for gpu_class in sorted(set(added.gpu_class.tolist()) - {""}):
        here = added.gpu_class == gpu_class
        tree, capacity = snapshot.tree.of_class(gpu_class), snapshot.capacity(gpu_class)
        groups, which = np.unique(added.group[here], return_inverse=True)
        position = np.array([tree.position(int(group)) for group in groups], np.int64)
        gpus = added.gpus[here]
        own = use[gpu_class].copy() if gpu_class in use else np.zeros(len(tree), np.int64)
        before = Usage(tree, capacity, own)
        np.add.at(own, position[which], gpus)
        after = Usage(tree, capacity, own)
        held, held_before = after.held(), before.held()
        for each in np.flatnonzero(held > np.maximum(after.bound, held_before)).tolist():
            yield Violation(Law.QUOTA, f"group {tree.group_ids[each]} would hold {held[each]} of {gpu_class}")
        firm = np.bincount(which, weights=gpus * added.firm[here], minlength=len(groups)).astype(np.int64)
        above = (firm > 0) & (before.used[position] + firm > before.guaranteed[position])
        for at in np.flatnonzero(above).tolist():
            yield Violation(Law.GUARANTEE, f"group {groups[at]} would run {firm[at]} that cannot be preempted")


def _check_verdicts(snapshot: Snapshot, plan: Plan, started: Started, pledged: Started) -> Iterator[Violation]:
    table = snapshot.table
    gone = np.bincount(np.concatenate((started.row, pledged.row)), minlength=len(table.start))
    waits_on = np.flatnonzero(table.start + gone < table.stop)
    if not len(waits_on):
        return
    if isinstance(plan.verdicts, Verdicts):
        told_of = np.zeros(len(table.start), np.bool_)
        told_of[plan.verdicts.rows] = True
        silent = waits_on[~told_of[waits_on]].tolist()
    else:
        told = {each.key for each in plan.verdicts}
        silent = [row for row in waits_on.tolist() if table.key(row) not in told]
    for row in silent:
        yield Violation(Law.NO_VERDICT, f"class {table.key(row)}")
