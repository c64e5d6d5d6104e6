"""A job as people see it: names for numbers, the reason it stands where it does, its runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, select

from scheduler.cycle.facts import ClassKey
from scheduler.cycle.stay import Stay
from scheduler.model.ids import GroupId, ShapeId, SiteId
from scheduler.model.job_spec import JobSpec
from scheduler.model.job_state import TERMINAL_STATES, EndCause, JobState, RunPhase
from scheduler.model.reason import Number, Reason, ReasonCode
from scheduler.model.site_refusal import in_force
from scheduler.service.arrays import waits_in_arrays
from scheduler.service.dependencies import waits_for_jobs
from scheduler.service.directory import Directory
from scheduler.service.earmark import Held
from scheduler.service.eta import EtaView
from scheduler.service.refused_job import refusals_of, with_refusals
from scheduler.service.retry_reason import reason_of_retry
from scheduler.service.run_time_view import RunTimeView
from scheduler.service.time_text import time_text
from scheduler.service.world import Told
from scheduler.store import runs as run_rows
from scheduler.store.jobs import JobRow
from scheduler.store.rows import all_of, chunks
from scheduler.store.runs import RunRow
from scheduler.store.tables import ledger, people, runs, sites


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """One job of a list. ``elapsed_ms`` counts from the newest run's start to its end, or to now. ``workers`` and ``gpus`` are
    those of that run; of a job that waits, what it starts with at the least. Its row's run time is predicted on
    ``predicted_class``; None where that may be any."""

    row: JobRow
    spec: JobSpec
    group: str
    person: str
    site: str | None
    gpu_class: str | None
    predicted_class: str | None
    workers: int
    gpus: int
    data_class: str
    elapsed_ms: int | None
    reason: Reason | None
    eta: EtaView | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """One attempt."""

    row: RunRow
    site: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDetail:
    """A job with its runs, and the GPU-milliseconds that they used: of ended ones what was charged, of live ones from their
    start until now. ``by_class``: how long one that waits would run on each GPU class that it may start on, where these are
    several."""

    job: JobView
    runs: Sequence[RunView]
    gpu_milliseconds: int
    bound_site: str | None
    by_class: Sequence[RunTimeView] = ()


_YIELD_REASONS = {
    EndCause.PREEMPTED.value: ReasonCode.STOPPED_FOR_CLAIM,
    EndCause.RECLAIMED.value: ReasonCode.STOPPED_FOR_CLAIM,
    EndCause.RECALLED.value: ReasonCode.STOPPED_FOR_LENDER,
    EndCause.MOVED.value: ReasonCode.STOPPED_FOR_GANG,
    EndCause.SHRUNK.value: ReasonCode.STOPPED_TO_SHRINK,
    EndCause.GROWN.value: ReasonCode.STOPPED_TO_GROW,
}
#: Why the jobs of a class wait; None where that is not known.
VerdictOf = Callable[[ClassKey], Told | None]


def views_of(
    connection: Connection, directory: Directory, rows: Sequence[JobRow], now_ms: int, verdict_of: VerdictOf
) -> list[JobView]:
    """Views of ``rows``, in order, with a few statements however many they are."""
    names = _names(connection, people, {row.person_id for row in rows})
    refusing = {each.site for row in rows for each in refusals_of(row)}
    site_names = _names(connection, sites, refusing | {row.site_id for row in rows if row.site_id is not None})
    newest = _newest_runs(connection, [row.run_id for row in rows if row.run_id is not None])
    waits = (
        waits_in_arrays(connection, rows, now_ms)
        | _waits_for_nodes(connection, rows)
        | waits_for_jobs(connection, rows)
    )
    return [_view(row, directory, names, site_names, newest, waits, verdict_of, now_ms) for row in rows]


def _view(
    row: JobRow,
    directory: Directory,
    names: Mapping[int, str],
    site_names: Mapping[int, str],
    newest: Mapping[int, _NewestRun],
    waits: Mapping[int, Reason],
    verdict_of: VerdictOf,
    now_ms: int,
) -> JobView:
    spec = JobSpec.model_validate_json(row.spec)
    group = directory.by_id.get(row.group_id)
    site = None if row.site_id is None else site_names.get(row.site_id)
    end_ms = now_ms if row.ended_ms is None else row.ended_ms
    own_class = spec.data_class or (group.data_class if group is not None else None)
    at_site = row.state not in (JobState.QUEUED.value, JobState.HELD.value)
    newest_run = None if row.run_id is None else newest.get(row.run_id)
    run = newest_run if at_site else None
    only_class = spec.gpu_classes[0] if len(spec.gpu_classes) == 1 else None
    return JobView(
        row=row,
        spec=spec,
        group=group.path if group is not None else str(row.group_id),
        person=names.get(row.person_id, "?"),
        site=site if at_site else None,
        gpu_class=None if run is None else run.gpu_class,
        predicted_class=only_class if newest_run is None else newest_run.gpu_class,
        workers=spec.workers_min if run is None else run.gpus // run.gpus_per_worker,
        gpus=row.gpus if run is None else run.gpus,
        data_class=own_class.value if own_class is not None else "?",
        elapsed_ms=None if row.started_ms is None or not at_site else max(0, end_ms - row.started_ms),
        reason=waits.get(row.id)
        or reason_of_retry(row, now_ms)
        or yield_reason(row, site, run)
        or _reason_now(row, site, site_names, verdict_of, now_ms),
    )


def _reason_now(
    row: JobRow, site: str | None, site_names: Mapping[int, str], verdict_of: VerdictOf, now_ms: int
) -> Reason | None:
    if row.state != JobState.QUEUED.value:
        return reason_of(row, site, None)
    reason = reason_of(row, site, verdict_of(class_of(row, now_ms)))
    return None if reason is None else with_refusals(reason, row, site_names, now_ms)


def class_of(row: JobRow, now_ms: int) -> ClassKey:
    """The class with which a waiting job waits now."""
    bound = None if row.bound_site_id is None else SiteId(row.bound_site_id)
    stay = Stay.of(row.walltime_ms, row.save_ms)
    refused_by = tuple(each.site for each in in_force(refusals_of(row), now_ms))
    return ClassKey(GroupId(row.group_id), ShapeId(row.shape_id), bound, stay, refused_by)


def reason_of(row: JobRow, site: str | None, told: Told | None) -> Reason | None:
    """Why a job stands where it does; a waiting one inherits what is said of its class."""
    state = JobState(row.state)
    if state is JobState.QUEUED:
        return Reason(code=ReasonCode.NOT_YET_EVALUATED) if told is None else of_job(told.verdict.reason, row.id)
    if state is JobState.HELD:
        return Reason(code=ReasonCode.HELD_BY_OWNER, numbers={"job": row.id})
    if state is JobState.LEASED:
        return Reason(code=ReasonCode.WAITING_FOR_AGENT, numbers={"site": site})
    if state in (JobState.PREEMPTING, JobState.CANCELLING):
        cause = "cancelled" if row.cancel_requested else "requeued" if row.requeue_requested else "site_stopped"
        return Reason(code=ReasonCode.STOPPING, numbers={"cause": cause})
    if row.reason is not None and (state in TERMINAL_STATES or state is JobState.UNREACHABLE):
        numbers: dict[str, Number] = dict(row.reason.get("numbers") or {})
        return Reason(code=ReasonCode(row.reason["code"]), numbers=numbers)
    return None


def of_job(reason: Reason, job_id: int) -> Reason:
    """A class's reason as one of its jobs has it: its sentences name the job where they say what to type."""
    per_site = tuple(replace(each, numbers={**each.numbers, "job": job_id}) for each in reason.per_site)
    return replace(reason, numbers={**reason.numbers, "job": job_id}, per_site=per_site)


def yield_reason(row: JobRow, site: str | None, run: _NewestRun | None) -> Reason | None:
    """Why a job's run is being ended for others; whose jobs those are is not told."""
    if run is None or row.state != JobState.PREEMPTING.value or run.stop_cause not in _YIELD_REASONS:
        return None
    until_ms = (run.stop_requested_ms or 0) + (run.stop_grace_ms or 0)
    numbers: dict[str, Number] = {"cause": run.stop_cause, "site": site, "until": time_text(until_ms)}
    return Reason(code=_YIELD_REASONS[run.stop_cause], numbers=numbers)


def _waits_for_nodes(connection: Connection, rows: Sequence[JobRow]) -> dict[int, Reason]:
    """Of jobs for which nodes are held: where, how many runs have yet to leave them, and by when."""
    queued = [row for row in rows if row.state == JobState.QUEUED.value]
    held = {row.id: Held.read(row.earmark) for row in queued if row.earmark is not None}
    if not held:
        return {}
    live: set[int] = set()
    for part in chunks({run for each in held.values() for run in each.runs}):
        left = runs.c.id.in_(part) & (runs.c.phase != RunPhase.ENDED.value)
        live.update(connection.execute(select(runs.c.id).where(left)).scalars())
    names = _names(connection, sites, {each.site for each in held.values()})
    found: dict[int, Reason] = {}
    for job, each in held.items():
        leaving = sum(run in live for run in each.runs)
        numbers: dict[str, Number] = {"site": names.get(each.site), "runs": leaving, "until": time_text(each.until_ms)}
        found[job] = Reason(code=ReasonCode.WAITING_FOR_EARMARK, numbers=numbers)
    return found


def detail_of(
    connection: Connection, directory: Directory, row: JobRow, now_ms: int, verdict_of: VerdictOf
) -> JobDetail:
    """Everything about one job."""
    (view,) = views_of(connection, directory, [row], now_ms, verdict_of)
    attempts = run_rows.of_job(connection, row.id)
    wanted = {run.site_id for run in attempts} | ({row.bound_site_id} if row.bound_site_id is not None else set())
    names = _names(connection, sites, wanted)
    charged = 0
    for part in chunks(run.id for run in attempts):
        own = ledger.c.run_id.in_(part) & (ledger.c.account_kind == "consumer")
        charged += sum(connection.execute(select(ledger.c.gpu_milliseconds).where(own)).scalars())
    return JobDetail(
        job=view,
        runs=[RunView(row=run, site=names.get(run.site_id, "?")) for run in attempts],
        gpu_milliseconds=charged + sum(_used_until(run, now_ms) for run in attempts),
        bound_site=None if row.bound_site_id is None else names.get(row.bound_site_id),
    )


def _used_until(run: RunRow, now_ms: int) -> int:
    if run.phase == RunPhase.ENDED.value or run.started_ms is None:
        return 0
    return run.gpus * max(0, now_ms - run.started_ms)


def _names(connection: Connection, table: Any, ids: set[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for part in chunks(ids):
        for row in connection.execute(select(table.c.id, table.c.name).where(table.c.id.in_(part))):
            found[row.id] = row.name
    return found


@dataclass(frozen=True, slots=True)
class _NewestRun:
    """What a list shows of a job's newest run."""

    id: int
    gpu_class: str
    gpus: int
    gpus_per_worker: int
    stop_cause: str | None
    stop_grace_ms: int | None
    stop_requested_ms: int | None


_RUN_COLUMNS = (
    runs.c.id, runs.c.gpu_class, runs.c.gpus, runs.c.gpus_per_worker, runs.c.stop_cause, runs.c.stop_grace_ms,
    runs.c.stop_requested_ms,
)  # fmt: skip


def _newest_runs(connection: Connection, run_ids: Sequence[int]) -> dict[int, _NewestRun]:
    found: dict[int, _NewestRun] = {}
    for part in chunks(run_ids):
        for run in all_of(_NewestRun, connection, select(*_RUN_COLUMNS).where(runs.c.id.in_(part))):
            found[run.id] = run
    return found
