"""What agents report, taken into the record: phases, ends, late corrections, capacity. Many reports a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scheduler.model.job_state import EndCause, JobState, RunPhase
from scheduler.model.reason import ReasonCode
from scheduler.model.wire import CapacityReport, NodeReport, RunReport, SyncRequest
from scheduler.service.overtaken import is_overtaken
from scheduler.service.run_end import RunEnd, RunEnds
from scheduler.store import jobs, nodes, runs, sites
from scheduler.store.dialect import encode_json
from scheduler.store.jobs import JobRow
from scheduler.store.runs import RunRow
from scheduler.store.transaction import EventRow, WriteTransaction

#: What is left of a request that was overtaken: what it tells of single runs is true whenever it comes.
PARTIAL = {"complete": False, "capacity": None}
#: How far our own clock may have been set anew while a run lasted; what goes beyond is a site's clock gone wrong.
CLOCK_OFF_MS_MAX = 7 * 24 * 3_600_000
_STATE_OF_PHASE = {RunPhase.STARTING: JobState.STARTING, RunPhase.RUNNING: JobState.RUNNING}
_PHASE_ORDER = {RunPhase.LEASED: 0, RunPhase.STARTING: 1, RunPhase.RUNNING: 2, RunPhase.ENDED: 3}
#: States of a job whose run goes on: they follow the run's phase.
_FOLLOWING = frozenset(
    {JobState.LEASED.value, JobState.STARTING.value, JobState.RUNNING.value, JobState.UNREACHABLE.value}
)


@dataclass(frozen=True, slots=True)
class Told:
    """One request of a site's agent."""

    site_id: int
    site: str
    request: SyncRequest
    heard: bool  #: write down that the agent was heard now
    settled_sequence: int | None = None  #: see ``overtaken.is_overtaken``
    overtaken: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of it: ends to forget, and runs that must not be (unknown here, or ended for us)."""

    forget: tuple[int, ...]
    unwanted: tuple[tuple[int, int], ...]
    overtaken: bool = False  #: it came after a later request: what it leaves out was not believed
    newest_sequence: int | None = None  #: the highest request of the site that is written down now


@dataclass(slots=True)
class _Rows:
    """What a transaction changes, collected."""

    runs: list[tuple[object, ...]]
    jobs: list[tuple[object, ...]]
    events: list[EventRow]


def take_reports(transaction: WriteTransaction, told: Sequence[Told]) -> list[Taken]:
    """Take requests in, in order; one answer each."""
    _ = transaction.change
    known = runs.by_ids(transaction.connection, {run.run_id for each in told for run in each.request.runs})
    told, newest = _hear(transaction, told)
    complete = {each.site_id for each in told if each.request.complete}
    missing = {site_id: runs.live_at(transaction.connection, site_id) for site_id in complete}
    wanted_jobs = {run.job_id for run in known.values()} | {run.job_id for each in missing.values() for run in each}
    known_jobs = jobs.by_ids(transaction.connection, wanted_jobs)
    ends, rows = RunEnds(transaction), _Rows([], [], [])
    taken: list[Taken] = []
    ended: set[int] = set()
    for each, newest_sequence in zip(told, newest, strict=True):
        if each.request.capacity is not None:
            _take_capacity(transaction, each, each.request.capacity)
        answer = _take_runs(transaction, each, known, known_jobs, ends, rows, ended)
        answer = replace(answer, overtaken=each.overtaken, newest_sequence=newest_sequence)
        if each.request.complete:
            _end_vanished(transaction, each, missing[each.site_id], known_jobs, ends, ended)
        taken.append(answer)
    runs.change_many(transaction, ("phase", "started_ms"), rows.runs)
    jobs.change_many(transaction, ("state", "started_ms", "reason"), rows.jobs)
    transaction.add_events(rows.events)
    ends.write()
    return taken


def _hear(transaction: WriteTransaction, told: Sequence[Told]) -> tuple[list[Told], list[int | None]]:
    """Note which agents were heard and how far they have counted; answer what is believed, and how far after each.

    A complete report that comes after a later request knows nothing of runs that began in between: it must not say
    that they are gone. The row decides, so that it holds whichever server the requests reached.
    """
    known = sites.by_ids(transaction.connection, {each.site_id for each in told})
    marks = {site.id: (site.heard_ms, site.heard_sequence) for site in known.values()}
    believed: list[Told] = []
    newest_after: list[int | None] = []
    for each in told:
        heard_ms, newest = marks[each.site_id]
        overtaken = is_overtaken(each.request.sequence, newest, each.settled_sequence)
        request = each.request.model_copy(update=PARTIAL) if overtaken else each.request
        newest = newest if overtaken else request.sequence
        marks[each.site_id] = transaction.now_ms if each.heard else heard_ms, newest
        believed.append(replace(each, overtaken=overtaken, request=request))
        newest_after.append(newest)
    sites.mark_heard(transaction, [(site_id, *mark) for site_id, mark in marks.items()])
    return believed, newest_after


def _take_runs(
    transaction: WriteTransaction,
    told: Told,
    known: dict[int, RunRow],
    known_jobs: dict[int, JobRow],
    ends: RunEnds,
    rows: _Rows,
    ended: set[int],
) -> Taken:
    actor = f"agent:{told.site}"
    forget: list[int] = []
    unwanted: list[tuple[int, int]] = []
    for unbounded in told.request.runs:
        run = known.get(unbounded.run_id)
        report = unbounded if run is None else _bounded(unbounded, run, transaction.now_ms)
        is_end = report.phase is RunPhase.ENDED
        if is_end:
            forget.append(report.run_id)
        if run is None or run.site_id != told.site_id or run.epoch != report.epoch:
            if not is_end:
                unwanted.append((report.run_id, report.epoch))
        elif run.phase == RunPhase.ENDED.value or run.id in ended:
            if not is_end:
                unwanted.append((report.run_id, report.epoch))
            elif run.id not in ended:
                ends.correct(run, known_jobs[run.job_id], _end_of(report, transaction.now_ms), actor=actor)
                ended.add(run.id)
        elif is_end:
            ended.add(run.id)
            ends.end(run, known_jobs[run.job_id], _end_of(report, transaction.now_ms), actor=actor)
        else:
            _take_phase(transaction, run, known_jobs[run.job_id], report, rows, actor)
    return Taken(tuple(forget), tuple(unwanted))


def _bounded(report: RunReport, run: RunRow, now_ms: int) -> RunReport:
    """The report with times that can be: nothing is still to come by our clock, and no run ends before it starts.

    How long a run lasted is the agent's own word, because our clock may be set anew meanwhile; when that was gives way.
    A run whose length is written down already keeps its times, so that a report that is repeated says the same.
    """
    started_ms, ended_ms = report.started_ms, report.ended_ms
    if ended_ms is None:
        started_ms = started_ms and min(started_ms, now_ms)
    elif started_ms is None:
        ended_ms = min(ended_ms, now_ms)
    else:
        lasted_ms = min(max(0, ended_ms - started_ms), max(0, now_ms - run.leased_ms) + CLOCK_OFF_MS_MAX)
        if run.ended_ms is not None and run.started_ms == run.ended_ms - lasted_ms:
            started_ms, ended_ms = run.started_ms, run.ended_ms
        else:
            ended_ms = min(max(started_ms, ended_ms), now_ms)
            started_ms = ended_ms - lasted_ms
    return report.model_copy(update={"started_ms": started_ms, "ended_ms": ended_ms})


def _end_of(report: RunReport, now_ms: int) -> RunEnd:
    return RunEnd(
        cause=report.cause or EndCause.VANISHED,
        started_ms=report.started_ms,
        ended_ms=report.ended_ms if report.ended_ms is not None else now_ms,
        exit_code=report.exit_code,
        message=report.message,
        node=report.node,
    )


def _take_phase(
    transaction: WriteTransaction, run: RunRow, job: JobRow, report: RunReport, rows: _Rows, actor: str
) -> None:
    """A live run has come further, or its site is heard again."""
    further = _PHASE_ORDER[report.phase] > _PHASE_ORDER[RunPhase(run.phase)]
    if further:
        rows.runs.append((run.id, report.phase.value, report.started_ms))
    state = _STATE_OF_PHASE.get(report.phase)
    if state is None or job.state not in _FOLLOWING or job.state == state.value or job.run_id != run.id:
        return
    if not further and job.state != JobState.UNREACHABLE.value:
        return
    if run.stop_cause is not None:
        state = JobState.CANCELLING if job.cancel_requested else JobState.PREEMPTING
    rows.jobs.append((job.id, state.value, report.started_ms, reason_when_heard(job)))
    data = {"state": state.value, "run": run.id, "epoch": run.epoch}
    rows.events.append(("job.state", job.id, job.group_id, run.site_id, actor, "", encode_json(data)))
    transaction.after_commit(f"job:{job.id}")


def reason_when_heard(job: JobRow) -> dict[str, Any] | None:
    """What is left of a job's reason when its site is heard again."""
    silent = (job.reason or {}).get("code") == ReasonCode.SITE_UNREACHABLE
    return None if silent else job.reason


def _end_vanished(
    transaction: WriteTransaction,
    told: Told,
    live: Iterable[RunRow],
    known_jobs: dict[int, JobRow],
    ends: RunEnds,
    ended: set[int],
) -> None:
    """Runs that the agent had reported and no longer knows: a complete report says that they are gone."""
    reported = {run.run_id for run in told.request.runs}
    for run in live:
        if run.phase == RunPhase.LEASED.value or run.id in reported or run.id in ended:
            continue
        ended.add(run.id)
        end = RunEnd(
            cause=EndCause.VANISHED,
            started_ms=run.started_ms,
            ended_ms=transaction.now_ms,
            message="the agent no longer knows the run",
        )
        ends.end(run, known_jobs[run.job_id], end, actor=f"agent:{told.site}")


def _take_capacity(transaction: WriteTransaction, told: Told, report: CapacityReport) -> None:
    """Write the nodes that differ; a node that is not in a complete list is gone."""
    known = {row.name: row for row in nodes.of_site(transaction.connection, told.site_id, removed=True)}
    changed = [node for node in report.nodes if _differs(node, known.get(node.name))]
    gone = set(report.removed)
    if report.complete:
        listed = {node.name for node in report.nodes}
        gone |= {name for name, row in known.items() if name not in listed and not row.removed}
    nodes.put(transaction, told.site_id, changed)
    if gone:
        nodes.remove(transaction, told.site_id, sorted(gone))
    if changed or gone:
        data = {"nodes_changed": len(changed), "nodes_gone": len(gone)}
        transaction.event("site.capacity", actor=f"agent:{told.site}", site_id=told.site_id, data=data)
        transaction.after_commit("scheduler")


def _differs(node: NodeReport, row: nodes.NodeRow | None) -> bool:
    if row is None or row.removed:
        return True
    before = (row.pool, row.gpu_class, row.gpus, row.cpus, row.memory_mib, tuple(row.domain), row.healthy)
    return before != (node.pool, node.gpu_class, node.gpus, node.cpus, node.memory_mib, node.domain, node.healthy)
