"""A federation in memory that follows the store by change number: what was read once is never read again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from scheduler.clock import Clock
from scheduler.cycle.facts import DEFAULT_PREEMPTION, GroupFacts, LiveRun, PreemptionRules, WaitingJob
from scheduler.cycle.federation import Federation
from scheduler.cycle.throttle import Throttles
from scheduler.model.data_class import DataClassPolicy
from scheduler.model.group_order import GroupOrder
from scheduler.model.ids import GroupId, JobId, NodeId, RunId, ShapeId, SiteId
from scheduler.model.job_state import ACTIVE_STATES, JobState, RunPhase
from scheduler.model.offer import Sector
from scheduler.model.site import Csap, SecurityGrade, Site, SiteState
from scheduler.service.directory import GroupView, read_directory
from scheduler.service.earmark import Held
from scheduler.service.hearing import Hearing
from scheduler.service.job_facts import run_fact, waiting_fact
from scheduler.service.lending import offer_of, recall_of, reservation_of
from scheduler.service.node_fact import node_fact
from scheduler.service.quota_fact import quota_fact
from scheduler.service.retries import Retries
from scheduler.service.waiters import Waiters
from scheduler.store import dependencies as dependency_rows
from scheduler.store import offers as offer_rows
from scheduler.store import past_uses as past_use_rows
from scheduler.store import quotas as quota_rows
from scheduler.store import recalls as recall_rows
from scheduler.store import reservations as reservation_rows
from scheduler.store import shapes as shape_rows
from scheduler.store import sites as site_rows
from scheduler.store import standings as standing_rows
from scheduler.store.database import Database
from scheduler.store.follow import changed_since
from scheduler.store.offers import lending_change
from scheduler.store.past_use_tables import past_uses
from scheduler.store.rows import chunks
from scheduler.store.sites import SiteRow
from scheduler.store.standing_tables import standings
from scheduler.store.tables import groups, jobs, nodes, quotas, runs

_JOB_COLUMNS = (
    jobs.c.id,
    jobs.c.state,
    jobs.c.group_id,
    jobs.c.shape_id,
    jobs.c.priority,
    jobs.c.submitted_ms,
    jobs.c.bound_site_id,
    jobs.c.not_before_ms,
    jobs.c.earmark,
    jobs.c.refusals,
    jobs.c.walltime_ms,
    jobs.c.save_ms,
    jobs.c.started_ms,
    jobs.c.awaits,
    jobs.c.array_id,
    jobs.c.array_running_max,
    jobs.c.gpus,
    jobs.c.predicted_ms,
    jobs.c.served_ms,
)
_ENDED = RunPhase.ENDED.value
_QUEUED = JobState.QUEUED.value
_ACTIVE = sorted(state.value for state in ACTIVE_STATES)


def security_of(site: SiteRow) -> SecurityGrade:
    """What the site's contract says about whom it may serve."""
    return SecurityGrade(
        csap=Csap(site.csap),
        state_facility=site.state_facility,
        classified_network=site.classified_network,
        isolates_users=site.isolates_users,
        trust_domain=site.trust_domain,
    )


def facts_of(group: GroupView) -> GroupFacts:
    """A group as rounds see it."""
    return GroupFacts(
        id=GroupId(group.id),
        path=group.path,
        parent=None if group.row.parent_id is None else GroupId(group.row.parent_id),
        trust_domain=group.trust_domain,
        public_sector=group.public_sector,
        sector=None if group.row.sector is None else Sector(group.row.sector),
        order=group.order,
    )


def newest_tree_change(connection: Connection) -> int:
    """The newest change of groups and quotas."""
    newest = connection.execute(
        select(func.max(groups.c.change), func.coalesce(select(func.max(quotas.c.change)).scalar_subquery(), 0))
    ).one()
    return max(newest[0] or 0, newest[1] or 0)


def newest_rules_change(connection: Connection) -> int:
    """The newest change of what a round goes by whatever waits and runs: groups, quotas, and what sites lend."""
    return max(newest_tree_change(connection), lending_change(connection))


class Follower:
    """Keeps ``federation`` in step with the store. Not thread-safe."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        policy: DataClassPolicy,
        preemption: PreemptionRules = DEFAULT_PREEMPTION,
    ) -> None:
        self._database = database
        self._clock = clock
        self.hearing = Hearing(clock)
        self.federation = Federation(policy, preemption)
        self._retries = Retries(clock)
        self._throttles = Throttles()
        #: jobs that wait for others, and those among them that have to be looked at
        self.waiters = Waiters()
        self.sites: dict[int, SiteRow] = {}
        #: grows whenever groups, quotas, sites' contracts or nodes changed
        self.version = 0
        #: the newest change of groups and quotas that the federation knows of
        self.tree_change = -1
        self._lending_change = 0
        self._nodes_change = 0
        self._jobs_change = 0
        self._runs_change = 0
        self._past_use_change = 0
        self._standings_change = 0
        self._seen_sites: dict[int, Site] = {}
        self._orders: dict[int, GroupOrder] = {}
        self._reordered: set[int] = set()

    def catch_up(self) -> None:
        """Take in everything committed since the last time, as of one moment."""
        with self._database.read() as connection:
            self._follow_rules(connection)
            self._follow_runs(connection)
            self._follow_past_use(connection)
            self._follow_standings(connection)
            self._follow_jobs(connection)
            self._reorder(connection)
            self._follow_throttles(connection)
        self.federation.lend(self._clock.now_ms())

    def catch_up_rules(self) -> None:
        """Take in what was committed of groups, quotas, sites, their nodes and what they lend, as of one moment."""
        with self._database.read() as connection:
            self._follow_rules(connection)
        self.federation.lend(self._clock.now_ms())

    @property
    def rules_change(self) -> int:
        """``newest_rules_change`` as far as the federation knows of it."""
        return max(self.tree_change, self._lending_change)

    def _follow_rules(self, connection: Connection) -> None:
        self._follow_tree(connection)
        self._follow_sites(connection)
        self._follow_nodes(connection)
        self._follow_lending(connection)

    def _follow_tree(self, connection: Connection) -> None:
        change = newest_tree_change(connection)
        if change == self.tree_change:
            return
        directory = read_directory(connection)
        self.federation.set_groups(
            [facts_of(group) for group in directory.by_id.values()],
            {(GroupId(row.group_id), row.gpu_class): quota_fact(row) for row in quota_rows.every(connection)},
        )
        orders = {group.id: group.order for group in directory.by_id.values()}
        self._reordered |= {group for group, order in self._orders.items() if orders.get(group) is not order}
        self._orders = orders
        self.tree_change = change
        self.version += 1

    def _follow_sites(self, connection: Connection) -> None:
        for row in site_rows.every(connection):
            known = self.sites.get(row.id)
            self.sites[row.id] = row
            self.hearing.note(row)
            site = Site(
                id=SiteId(row.id),
                name=row.name,
                state=SiteState(row.state),
                security=security_of(row),
                reachable=self.hearing.is_heard(row),
                block_nodes=row.block_nodes or {},
            )
            if self._seen_sites.get(row.id) != site:
                self._seen_sites[row.id] = site
                self.federation.put_site(site)
            if known is None or known.change != row.change:
                self.version += 1

    def _follow_lending(self, connection: Connection) -> None:
        change = lending_change(connection)
        if change == self._lending_change:
            return
        self.federation.set_lending(
            [offer_of(row) for row in offer_rows.every(connection)],
            [recall_of(row) for row in recall_rows.every(connection)],
            [reservation_of(row) for row in reservation_rows.every(connection)],
        )
        self._lending_change = change
        self.version += 1

    def _follow_nodes(self, connection: Connection) -> None:
        while True:
            page = changed_since(connection, nodes, self._nodes_change)
            for row in page.rows:
                self.version += 1
                if row.removed:
                    self.federation.remove_node(NodeId(row.id))
                else:
                    self.federation.put_node(node_fact(row))
            self._nodes_change = page.change
            if not page.more:
                return

    def _follow_runs(self, connection: Connection) -> None:
        live = runs.c.phase != _ENDED
        # At first only what is live matters; afterwards ends are news.
        where = live if self._runs_change == 0 else None
        while True:
            page = changed_since(connection, runs, self._runs_change, where=where)
            self._take_runs(connection, page.rows)
            self._runs_change = page.change
            if not page.more:
                return

    def _take_runs(self, connection: Connection, rows: Sequence[Any]) -> None:
        self._learn_shapes(
            connection, {ShapeId(row.shape_id) for row in rows if row.phase != _ENDED and row.shape_id is not None}
        )
        for row in rows:
            if row.phase == _ENDED:
                self.federation.drop_run(RunId(row.id))
            else:
                self.federation.put_run(self._run(row))

    def _follow_past_use(self, connection: Connection) -> None:
        self.federation.set_decay(past_use_rows.rule(connection).decay)
        while True:
            page = changed_since(connection, past_uses, self._past_use_change)
            for row in page.rows:
                self.federation.put_past_use(GroupId(row.group_id), row.gpu_class, past_use_rows.use_of(row))
            self._past_use_change = page.change
            if not page.more:
                return

    def _follow_standings(self, connection: Connection) -> None:
        while True:
            page = changed_since(connection, standings, self._standings_change)
            for row in page.rows:
                standing = standing_rows.standing_of(row)
                self.federation.put_standing(GroupId(row.group_id), row.gpu_class, standing)
            self._standings_change = page.change
            if not page.more:
                return

    def _follow_jobs(self, connection: Connection) -> None:
        # At first only what waits matters, what takes the place of a task that waits, and what is moved.
        where: ColumnElement[bool] | None = None
        if self._jobs_change == 0:
            matters = jobs.c.array_running_max.is_not(None) | jobs.c.earmark.is_not(None)
            where = (jobs.c.state == _QUEUED) | (jobs.c.state.in_(_ACTIVE) & matters)
            for waiter, own in dependency_rows.every(connection).items():
                self.waiters.put(waiter, (each.on for each in own))
        while True:
            page = changed_since(
                connection, jobs, self._jobs_change, columns=(*_JOB_COLUMNS, jobs.c.change), where=where
            )
            self._take_jobs(connection, page.rows)
            self._follow_waiters(connection, page.rows)
            self._jobs_change = page.change
            if not page.more:
                break
        self._follow_retries(connection)

    def _reorder(self, connection: Connection) -> None:
        """See anew what waits, or leaves its nodes and will wait, in groups whose order has changed."""
        for part in chunks(sorted(self._reordered)):
            live = runs.c.group_id.in_(part) & (runs.c.phase != _ENDED)
            self._take_runs(connection, connection.execute(select(runs).where(live)).all())
            queued = jobs.c.group_id.in_(part) & (jobs.c.state == _QUEUED)
            self._take_jobs(connection, connection.execute(select(*_JOB_COLUMNS).where(queued)).all())
        self._reordered = set()

    def _take_jobs(self, connection: Connection, rows: Sequence[Any]) -> None:
        waiting: list[Any] = []
        for row in rows:
            waits_on = self._retries.holds(row.id, row.not_before_ms if row.state == _QUEUED else None)
            is_ready = row.state == _QUEUED and not waits_on and not row.awaits
            if row.array_running_max is not None:
                self._throttles.take(row, ready=is_ready)
            elif is_ready:
                waiting.append(row)
            if not is_ready:
                self.federation.drop_waiting(JobId(row.id))
        moved = [row for row in rows if row.earmark is not None and row.state in _ACTIVE]
        self._have_wait(connection, waiting + moved)

    def _follow_waiters(self, connection: Connection, rows: Sequence[Any]) -> None:
        for row in rows:
            self.waiters.note(row)
        news = {row.id if row.array_id is None else row.array_id for row in rows if self.waiters.is_news(row)}
        for waiter, own in dependency_rows.of_waiters(connection, news).items():
            self.waiters.put(waiter, (each.on for each in own))

    def _follow_retries(self, connection: Connection) -> None:
        for part in chunks(self._retries.due()):
            mine = jobs.c.id.in_(part) & (jobs.c.state == _QUEUED)
            due = connection.execute(select(*_JOB_COLUMNS).where(mine)).all()
            self._have_wait(connection, [row for row in due if row.array_running_max is None])
            for row in due:
                if row.array_running_max is not None:
                    self._throttles.take(row, ready=True)

    def _follow_throttles(self, connection: Connection) -> None:
        is_open = {each.id for each in self._seen_sites.values() if each.state is SiteState.ACTIVE and each.reachable}
        shown, hidden = self._throttles.choose(self.sites.keys() - is_open)
        for job_id in hidden:
            self.federation.drop_waiting(JobId(job_id))
        self._have_wait(connection, shown)

    def _have_wait(self, connection: Connection, rows: Sequence[Any]) -> None:
        """Queued jobs, and those for which nodes are held, which may have yet to leave others."""
        self._learn_shapes(connection, {ShapeId(row.shape_id) for row in rows})
        self.federation.put_waiting([self._waiting(row) for row in rows if row.earmark is None])
        for row in rows:
            if row.earmark is not None:
                self.federation.put_earmark(Held.read(row.earmark).earmarked(self._waiting(row)))

    def _run(self, row: Any) -> LiveRun:
        run = run_fact(row, self._orders.get(row.group_id, GroupOrder.FIFO))
        if row.shape_id is None:
            return run
        shape = self.federation.shape(ShapeId(row.shape_id))
        return replace(run, data_class=shape.data_class).elastic_as(shape)

    def _waiting(self, row: Any) -> WaitingJob:
        return waiting_fact(row, self._orders[row.group_id])

    def _learn_shapes(self, connection: Connection, wanted: set[ShapeId]) -> None:
        unknown = sorted(each for each in wanted if not self.federation.has_shape(each))
        for shape_id, shape in shape_rows.by_id(connection, unknown).items():
            self.federation.put_shape(ShapeId(shape_id), shape)
