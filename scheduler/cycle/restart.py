"""Whether a run may be stopped so that its job goes on at its site at once, on other nodes or with another number of workers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from scheduler.cycle.facts import LiveRun
from scheduler.cycle.plan import Earmark, GangPart
from scheduler.cycle.round import Round
from scheduler.cycle.snapshot import SitePool
from scheduler.model.ids import GroupId, NodeId, RunId, ShapeId, SiteId
from scheduler.placement.pool import IntArray
from scheduler.placement.pool_runs import KIND, RUN, restartable


class Restarts:
    """Those of a round: preemptible runs that write a checkpoint on the stop's signal and have had their minimum run time."""

    def __init__(self, round_: Round, going: frozenset[RunId], *, minimum_run_ms: int | None = None) -> None:
        """Runs that are ``going`` leave for another reason. ``minimum_run_ms``: another than that of the rules of preemption."""
        self._round, self._going = round_, going
        rules = round_.snapshot.preemption
        self._minimum_run_ms = rules.minimum_run_ms if minimum_run_ms is None else minimum_run_ms
        snapshot = round_.snapshot
        causes = snapshot.sites, snapshot.policy, snapshot.tree, snapshot.offered_classes
        self._serves = snapshot.kept.of("serves", causes, dict[tuple[SiteId, str, GroupId, ShapeId], bool])

    def may(self, run: LiveRun, site_pool: SitePool) -> bool:
        """Whether a run of a pool may be stopped, and its job go on at its site."""
        if not run.checkpoints or not run.preemptible or run.leaving or run.id in self._going:
            return False
        over_ms, again, now_ms = run.expected_end_ms, run.returns_as, self._round.snapshot.now_ms
        if again is None or (over_ms is not None and over_ms <= now_ms + run.grace_ms):
            return False
        if run.started_ms > now_ms - self._minimum_run_ms:
            return False
        if again.bound_site not in (None, run.site) or run.site in again.refused_by:
            return False
        return self._is_served(site_pool, again.group, again.shape)

    def rows(self, site_pool: SitePool) -> IntArray:
        """Rows of ``SitePool.runs`` for which ``may`` is true."""
        columns, _, count, at, kinds = site_pool.runs
        found: IntArray = restartable(columns, count, at, self._round.snapshot.now_ms, self._minimum_run_ms)
        if self._going and len(found):
            found = found[~np.isin(columns[RUN, found], list(self._going))]
        shut = [
            each
            for each in set(columns[KIND, found].tolist())
            if not self._is_served(site_pool, kinds[each][0], kinds[each][1])
        ]
        return found[~np.isin(columns[KIND, found], shut)] if shut else found

    def may_stay(self, run: LiveRun, pool: int, site_pool: SitePool) -> bool:
        """Whether its job may go on on the very nodes, too: all are there, and lent for as long as a new run needs them."""
        again = run.returns_as
        if again is None or any(node not in site_pool.index for node, _ in run.gang):
            return False
        usable = self._round.usable(pool, again.key, again.priority)
        return usable is None or all(usable[site_pool.index[node]] for node, _ in run.gang)

    def _is_served(self, site_pool: SitePool, group: GroupId, shape: ShapeId) -> bool:
        key = site_pool.site, site_pool.gpu_class, group, shape
        if key not in self._serves:
            self._serves[key] = self._served(*key)
        return self._serves[key]

    def _served(self, site: SiteId, gpu_class: str, group: GroupId, shape_id: ShapeId) -> bool:
        snapshot, shape = self._round.snapshot, self._round.snapshot.shapes[shape_id]
        rule = snapshot.rule_against(snapshot.clearance(group, shape), snapshot.sites[site])
        return gpu_class in snapshot.candidates(shape) and rule is None


def same_place(run: LiveRun, site_pool: SitePool, gang: Iterable[tuple[NodeId, int]]) -> Earmark:
    """Nodes of a run's pool, (node, workers), held for its own job."""
    again = run.returns_as
    assert again is not None, "only such runs go on with another number of workers"
    parts: list[GangPart] = []
    rank = 0
    for node, workers in gang:
        parts.append((node, site_pool.pool.layout.names[site_pool.index[node]], rank, workers))
        rank += workers
    return Earmark(again.id, again.group, again.shape, site_pool.site, site_pool.gpu_class, tuple(parts))
