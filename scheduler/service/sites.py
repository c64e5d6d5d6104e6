"""Sites and their operators: register, see, cordon, drain, resume, stop, declare lost."""

from __future__ import annotations

import secrets
from collections import defaultdict
from dataclasses import dataclass, replace

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from scheduler.cycle.snapshot import Snapshot
from scheduler.model.data_class import Clearance, why_not_served
from scheduler.model.ids import SiteId
from scheduler.model.job_state import EndCause, JobState
from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.model.shape import DataClass
from scheduler.model.site import SiteState
from scheduler.service.access import inspects, operates, require_administrator
from scheduler.service.caller import Caller
from scheduler.service.directory import Directory
from scheduler.service.follow import security_of
from scheduler.service.run_end import RunEnd, RunEnds
from scheduler.service.runtime import Runtime, access_changed
from scheduler.service.secret import ENROLMENT_PREFIX, derived_secret, hash_of
from scheduler.store import jobs, memberships, nodes, people, runs, sites
from scheduler.store.runs import RunRow
from scheduler.store.sites import SiteRow
from scheduler.store.transaction import WriteTransaction


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteInput:
    """A new site's contract."""

    name: str
    owner: str
    operator: str
    facility: str
    csap: str
    state_facility: bool
    classified_network: bool
    isolates_users: bool
    trust_domain: str | None
    supervised: bool
    lease_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteView:
    """A site with what is free on it. ``inspected``: the caller may see its contract."""

    row: SiteRow
    reachable: bool
    gpu_classes: tuple[tuple[str, int, int], ...]  #: (class, total, free)
    nodes: int
    data_classes: tuple[str, ...]
    operators: tuple[str, ...]
    inspected: bool
    nodes_set_aside: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSite:
    """A site just registered. ``nonce`` and the caller's own token give its one-time token."""

    view: SiteView
    nonce: str
    enrolment_expires_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRun:
    """What an operator sees of a run: size, group and times."""

    run: RunRow
    group: str


def enrolment_token(presented: str, nonce: str) -> str:
    """The one-time token of a site that was registered with ``presented``."""
    return derived_secret(ENROLMENT_PREFIX, presented, nonce)


def register_site(
    transaction: WriteTransaction, runtime: Runtime, caller: Caller, presented: str, new: SiteInput, why: str
) -> NewSite | Refusal:
    """Write a new site's contract. Administrators only."""
    refusal = require_administrator(caller)
    if refusal is not None:
        return refusal
    _ = transaction.change
    if sites.by_name(transaction.connection, new.name) is not None:
        return refuse(ReasonCode.NAME_TAKEN, field="name", name=new.name)
    nonce = secrets.token_urlsafe(16)
    expires_ms = transaction.now_ms + runtime.settings.enrolment_lifetime_seconds * 1000
    values = {name: getattr(new, name) for name in SiteInput.__slots__}
    try:
        row = sites.add(
            transaction,
            **values,
            state=SiteState.ACTIVE.value,
            state_reason="",
            enrolment_hash=hash_of(enrolment_token(presented, nonce)),
            enrolment_expires_ms=expires_ms,
        )
    except IntegrityError:
        return refuse(ReasonCode.NAME_TAKEN, field="name", name=new.name)
    transaction.event("site.registered", actor=caller.person, why=why, site_id=row.id, data=values)
    transaction.on_commit(runtime.world.forget)
    view = SiteView(
        row=row,
        reachable=False,
        gpu_classes=(),
        nodes=0,
        data_classes=_data_classes(runtime, row),
        operators=(),
        inspected=True,
    )
    return NewSite(view=view, nonce=nonce, enrolment_expires_ms=expires_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEnrolment:
    """What gives a site's next agent its one-time token, as in ``NewSite``."""

    site: str
    nonce: str
    enrolment_expires_ms: int


def renew_enrolment(
    transaction: WriteTransaction, runtime: Runtime, caller: Caller, presented: str, name: str, why: str
) -> NewEnrolment | Refusal:
    """A new one-time token, for an agent that lost its folder or whose credential has become known.

    The credential in use holds until the token is used. Runs of the old agent are not its successor's: they end by
    their leases, or are stopped where the new one finds them.
    """
    row = operated_with_reason(transaction, caller, name, why)
    if isinstance(row, Refusal):
        return row
    nonce = secrets.token_urlsafe(16)
    expires_ms = transaction.now_ms + runtime.settings.enrolment_lifetime_seconds * 1000
    hashed = hash_of(enrolment_token(presented, nonce))
    sites.change(transaction, row.id, enrolment_hash=hashed, enrolment_expires_ms=expires_ms)
    transaction.event("site.enrolment_renewed", actor=caller.person, why=why, site_id=row.id)
    return NewEnrolment(site=row.name, nonce=nonce, enrolment_expires_ms=expires_ms)


def list_sites(runtime: Runtime, caller: Caller) -> list[SiteView]:
    """All sites, by name."""
    snapshot = runtime.world.snapshot()
    with runtime.database.read() as connection:
        return [_view(runtime, connection, caller, row, snapshot) for row in sites.every(connection)]


def show_site(runtime: Runtime, caller: Caller, name: str) -> SiteView | Refusal:
    """One site."""
    snapshot = runtime.world.snapshot()
    with runtime.database.read() as connection:
        row = sites.by_name(connection, name)
        if row is None:
            return refuse(ReasonCode.SITE_NOT_FOUND, field="name", site=name)
        return _view(runtime, connection, caller, row, snapshot)


def inspected_site(connection: Connection, caller: Caller, name: str, field: str = "name") -> SiteRow | Refusal:
    """The site called ``name``, for those who may inspect it."""
    row = sites.by_name(connection, name)
    if row is None:
        return refuse(ReasonCode.SITE_NOT_FOUND, field=field, site=name)
    if not inspects(caller, row.id):
        return refuse(ReasonCode.FORBIDDEN, needed="operator", where=name)
    return row


def site_runs(runtime: Runtime, caller: Caller, name: str, after_id: int, limit: int) -> list[SiteRun] | Refusal:
    """Live runs on a site, oldest first, after a run's id; for those who may inspect it."""
    with runtime.database.read() as connection:
        row = inspected_site(connection, caller, name)
        if isinstance(row, Refusal):
            return row
        live = [run for run in runs.live_at(connection, row.id) if run.id > after_id][:limit]
    directory = runtime.directories.newest()
    return [SiteRun(run=run, group=_path(directory, run.group_id)) for run in live]


def _path(directory: Directory, group_id: int) -> str:
    group = directory.by_id.get(group_id)
    return group.path if group is not None else str(group_id)


def _view(runtime: Runtime, connection: Connection, caller: Caller, row: SiteRow, snapshot: Snapshot) -> SiteView:
    totals: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    count = 0
    for (site_id, gpu_class), pool in snapshot.pools.items():
        if site_id == SiteId(row.id):
            totals[gpu_class][0] += pool.gpus
            totals[gpu_class][1] += pool.pool.free_gpus
            count += len(pool.node_ids)
    inspected = inspects(caller, row.id)
    operators: tuple[str, ...] = ()
    if inspected:
        found = (people.by_id(connection, each.person_id) for each in memberships.operators_of(connection, row.id))
        operators = tuple(sorted(person.name for person in found if person is not None))
    return SiteView(
        row=row,
        reachable=_is_reachable(snapshot, row),
        gpu_classes=tuple((name, total, free) for name, (total, free) in sorted(totals.items())),
        nodes=count,
        data_classes=_data_classes(runtime, row),
        operators=operators,
        inspected=inspected,
        nodes_set_aside=nodes.aside_by_site(connection).get(row.id, 0) if inspected else 0,
    )


def _is_reachable(snapshot: Snapshot, row: SiteRow) -> bool:
    site = snapshot.sites.get(SiteId(row.id))
    return site is not None and site.reachable


def _data_classes(runtime: Runtime, row: SiteRow) -> tuple[str, ...]:
    """The data classes that the site may serve for somebody of its trust domain outside the public sector."""
    grade = security_of(row)
    return tuple(
        data_class.value
        for data_class in DataClass
        if why_not_served(
            runtime.policy,
            Clearance(data_class=data_class, public_sector=False, trust_domain=row.trust_domain or ""),
            grade,
        )
        is None
    )


def operated_site(transaction: WriteTransaction, caller: Caller, name: str, field: str = "name") -> SiteRow | Refusal:
    """The site called ``name`` as it is now, for those who act for it; nobody else writes until the commit."""
    _ = transaction.change
    row = sites.by_name(transaction.connection, name)
    if row is None:
        return refuse(ReasonCode.SITE_NOT_FOUND, field=field, site=name)
    if not operates(caller, row.id):
        return refuse(ReasonCode.FORBIDDEN, needed="operator", where=name)
    return row


def operated_with_reason(transaction: WriteTransaction, caller: Caller, name: str, why: str) -> SiteRow | Refusal:
    """The same, for what takes a reason."""
    row = operated_site(transaction, caller, name)
    return row if isinstance(row, Refusal) or why.strip() else without_reason()


def set_site_state(
    transaction: WriteTransaction, runtime: Runtime, caller: Caller, name: str, state: SiteState, why: str
) -> SiteRow | Refusal:
    """Cordon, drain, resume or stop. Stopping ends every run of Dure's there at once; the jobs queue again."""
    row = operated_site(transaction, caller, name)
    if isinstance(row, Refusal):
        return row
    if state is not SiteState.ACTIVE and not why.strip():
        return without_reason()
    sites.change(transaction, row.id, state=state.value, state_reason=why)
    stopped = 0
    if state is SiteState.STOPPED:
        # Who is being stopped already, with a grace, is stopped at once too; what it is stopped for stays.
        live = [run for run in runs.live_at(transaction.connection, row.id) if run.stop_grace_ms != 0]
        now_ms = transaction.now_ms
        runs.change_many(
            transaction,
            ("stop_cause", "stop_grace_ms", "stop_requested_ms"),
            [(run.id, run.stop_cause or EndCause.SITE_STOPPED.value, 0, now_ms) for run in live],
        )
        known = jobs.by_ids(transaction.connection, (run.job_id for run in live))
        following = {JobState.LEASED.value, JobState.STARTING.value, JobState.RUNNING.value}
        stopping = [run.job_id for run in live if known[run.job_id].state in following]
        jobs.change_many(transaction, ("state",), [(job_id, JobState.PREEMPTING.value) for job_id in stopping])
        for job_id in stopping:
            job = known[job_id]
            data = {"state": JobState.PREEMPTING.value, "cause": EndCause.SITE_STOPPED.value, "run": job.run_id}
            transaction.event(
                "job.state",
                actor=caller.person,
                why=why,
                job_id=job_id,
                group_id=job.group_id,
                site_id=row.id,
                data=data,
            )
            transaction.after_commit(f"job:{job_id}")
        stopped = len(live)
    data_of_site = {"state": state.value, "runs_stopped": stopped}
    transaction.event("site.state", actor=caller.person, why=why, site_id=row.id, data=data_of_site)
    transaction.after_commit(f"site:{row.id}")
    transaction.after_commit("scheduler")
    transaction.on_commit(runtime.world.forget)
    return replace(row, state=state.value, state_reason=why)


def without_reason(field: str = "why") -> Refusal:
    """The answer to who gives no reason for what touches others."""
    problem = "say why: those whose jobs it touches will ask"
    return refuse(
        ReasonCode.INVALID_FIELD,
        field=field,
        problem=problem,
        problem_ko="사유를 쓰십시오. 영향을 받는 사람들이 묻습니다",
    )


def declare_lost(
    transaction: WriteTransaction, runtime: Runtime, caller: Caller, name: str, why: str
) -> SiteRow | Refusal:
    """The operator answers for a silent site that is not supervised: none of its runs is alive any more."""
    row = operated_with_reason(transaction, caller, name, why)
    if isinstance(row, Refusal):
        return row
    if _is_reachable(runtime.world.snapshot(), row):
        return refuse(ReasonCode.STATE_CONFLICT, state="reachable", action="declare-lost")
    if row.supervised:
        return refuse(ReasonCode.STATE_CONFLICT, state="supervised", action="declare-lost")
    live = runs.live_at(transaction.connection, row.id)
    known = jobs.by_ids(transaction.connection, (run.job_id for run in live))
    ends = RunEnds(transaction)
    for run in live:
        ended_ms = max(row.heard_ms or transaction.now_ms, run.started_ms or 0)
        end = RunEnd(
            cause=EndCause.DECLARED_LOST, started_ms=run.started_ms, ended_ms=ended_ms, message=f"declared lost: {why}"
        )
        ends.end(run, known[run.job_id], end, actor=caller.person)
    ends.write()
    data = {"runs_lost": len(live)}
    transaction.event("site.declared_lost", actor=caller.person, why=why, site_id=row.id, data=data)
    transaction.after_commit("scheduler")
    transaction.on_commit(runtime.world.forget)
    return row


def change_operator(
    transaction: WriteTransaction, runtime: Runtime, caller: Caller, name: str, person: str, why: str, *, add: bool
) -> SiteRow | Refusal:
    """Make a person an operator of the site, or take the role away. Administrators and the site's operators."""
    row = operated_site(transaction, caller, name)
    if isinstance(row, Refusal):
        return row
    if add:
        member = people.ensure(transaction, person)
        memberships.add_operator(transaction, person_id=member.id, site_id=row.id)
    else:
        known = people.by_name(transaction.connection, person)
        if known is None:
            return refuse(ReasonCode.PERSON_NOT_FOUND, field="person", person=person)
        if not memberships.remove_operator(transaction, person_id=known.id, site_id=row.id):
            return refuse(ReasonCode.ROLE_NOT_HELD, field="person", person=person, role="operator", where=name)
    kind = "operator.added" if add else "operator.removed"
    transaction.event(kind, actor=caller.person, why=why, site_id=row.id, data={"person": person})
    access_changed(transaction, runtime)
    return row


def view_after(runtime: Runtime, caller: Caller, row: SiteRow) -> SiteView:
    """A site that was changed a moment ago, in a transaction that is not over: its new row is what was decided."""
    snapshot = runtime.world.snapshot()
    with runtime.database.read() as connection:
        return _view(runtime, connection, caller, row, snapshot)


#: What a route's action does to the state.
STATE_OF_ACTION: dict[str, SiteState] = {
    "cordon": SiteState.CORDONED,
    "drain": SiteState.DRAINING,
    "resume": SiteState.ACTIVE,
    "stop": SiteState.STOPPED,
}
