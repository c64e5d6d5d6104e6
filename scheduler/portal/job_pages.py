"""From a job's view to what its templates show."""

from __future__ import annotations

from scheduler.model.counterfactual_text import alternative_text, counterfactual_text
from scheduler.model.job_state import ACTIVE_STATES, TERMINAL_STATES, JobState
from scheduler.model.reason import Reason, Refusal, SiteReason
from scheduler.model.reason_text import sentence
from scheduler.model.words import Language, WordKind, word
from scheduler.portal.pages import (
    ArrayLine,
    ClassTimeLine,
    DeadlineLine,
    EstimateLine,
    JobLine,
    JobStatus,
    RunLine,
    SiteLine,
    TimelineLine,
)
from scheduler.portal.render import moment, show_duration
from scheduler.service.access import holds
from scheduler.service.caller import Caller, Role, Scope
from scheduler.service.deadlines import deadline_of
from scheduler.service.eta import EtaView
from scheduler.service.job_view import JobDetail, JobView
from scheduler.service.jobs import newest_job_events, show_job, why_job
from scheduler.service.run_time_view import RunTimeView, run_time_of
from scheduler.service.runtime import Runtime
from scheduler.service.tally import category_text
from scheduler.store.events import Event

#: A job's page shows its newest events; a page of older ones shows more.
EVENTS_SHOWN_MAX = 20
EVENTS_A_PAGE = 100


def reason_text(reason: Reason | SiteReason | None, language: Language) -> str:
    """A reason's sentence; nothing for none."""
    return "" if reason is None else sentence(reason.code, reason.numbers, language)


def job_line(view: JobView, language: Language) -> JobLine:
    """A job in a list."""
    row = view.row
    return JobLine(
        id=row.id,
        name=row.name if row.array_id is None else f"{row.name} [{row.array_id}_{row.array_task}]",
        group=view.group,
        state=row.state,
        gpus=f"{view.gpu_class} × {view.gpus}" if view.gpu_class else str(view.gpus),
        site=view.site or "–",
        submitted=moment(row.submitted_ms),
        elapsed=show_duration(view.elapsed_ms),
        reason=reason_text(view.reason, language),
    )


def job_status(
    runtime: Runtime, caller: Caller, job_id: int, language: Language, form_value: str
) -> JobStatus | Refusal:
    """Everything of a job that may change while one looks."""
    detail = show_job(runtime, caller, job_id)
    if isinstance(detail, Refusal):
        return detail
    why = why_job(runtime, caller, job_id)
    history = timeline(runtime, caller, job_id, language, None, EVENTS_SHOWN_MAX)
    if isinstance(why, Refusal):
        return why
    if isinstance(history, Refusal):
        return history
    state = JobState(detail.job.row.state)
    other = why.counterfactual
    return JobStatus(
        job=job_line(detail.job, language),
        is_live=state not in TERMINAL_STATES,
        array=_array_line(detail.job),
        deadline=_deadline_line(detail.job),
        counterfactual=None if other is None else counterfactual_text(other, language),
        alternatives=[alternative_text(each, language) for each in why.alternatives],
        estimate=_estimate(why.job.eta, language),
        run_time=_run_time(run_time_of(detail.job.row, detail.job.predicted_class), language),
        by_class=[
            ClassTimeLine(gpu_class=each.gpu_class or "–", text=_run_time(each, language)) for each in detail.by_class
        ],
        sites=[SiteLine(site=each.site, text=reason_text(each, language)) for each in why.sites],
        runs=[
            RunLine(
                epoch=run.row.epoch,
                site=run.site,
                gpu_class=run.row.gpu_class,
                phase=run.row.phase,
                nodes=", ".join(part[1] for part in run.row.gang[:8]),
                started=moment(run.row.started_ms),
                ended=moment(run.row.ended_ms),
                cause=run.row.cause,
                category=category_text(run.row),
                log=None if run.row.started_ms is None else f"/jobs/{job_id}/log?run={run.row.id}",
            )
            for run in detail.runs
        ],
        timeline=history[0],
        older=history[1],
        actions=actions_of(runtime, caller, detail.job, state),
        gpu_seconds=gpu_seconds(detail),
        form_value=form_value,
    )


def _array_line(view: JobView) -> ArrayLine | None:
    row = view.row
    if row.array_id is None or row.array_task is None or row.array_tasks is None:
        return None
    return ArrayLine(id=row.array_id, task=row.array_task, tasks=row.array_tasks, running_max=row.array_running_max)


def _deadline_line(view: JobView) -> DeadlineLine | None:
    over_ms = deadline_of(view.row)
    return None if over_ms is None else DeadlineLine(over=moment(over_ms), start=moment(view.row.start_by_ms))


def _estimate(eta: EtaView | None, language: Language) -> EstimateLine | None:
    if eta is None:
        return None
    text, late = reason_text(eta.reason, language), reason_text(eta.late, language)
    return EstimateLine(start=moment(eta.start_ms), text=text, late=late)


def _run_time(view: RunTimeView, language: Language) -> str:
    told = "–" if view.run_ms is None else f"~{show_duration(view.run_ms)}"
    return f"{told} ({view.text(language)})"


def gpu_seconds(detail: JobDetail) -> str:
    """What a job used."""
    return f"{detail.gpu_milliseconds / 1000:,.1f}"


def timeline(
    runtime: Runtime, caller: Caller, job_id: int, language: Language, before: tuple[int, int] | None, lines_max: int
) -> tuple[list[TimelineLine], str | None] | Refusal:
    """What happened to a job, newest first, and the address of what happened before."""
    events = newest_job_events(runtime, caller, job_id, before, lines_max + 1)
    if isinstance(events, Refusal):
        return events
    shown, older = events[:lines_max], None
    if len(events) > lines_max:
        older = f"/jobs/{job_id}/timeline?change={shown[-1].change}&part={shown[-1].part}"
    return [_timeline_line(event, language) for event in shown], older


def _timeline_line(event: Event, language: Language) -> TimelineLine:
    state, cause = event.data.get("state"), event.data.get("cause")
    what = word(WordKind.EVENT, event.kind, language) if state is None else word(WordKind.STATE, str(state), language)
    return TimelineLine(
        at=moment(event.at_ms),
        what=f"{what} ({word(WordKind.CAUSE, str(cause), language)})" if cause else what,
        actor=word(WordKind.ACTOR, event.actor, language),
        why=event.why,
    )


def actions_of(runtime: Runtime, caller: Caller, view: JobView, state: JobState) -> list[str]:
    """What the caller may do with the job now."""
    group = runtime.directories.newest().by_id.get(view.row.group_id)
    needed = Role.SUBMITTER if view.row.person_id == caller.person_id else Role.MANAGER
    if group is None or not caller.may(Scope.SUBMIT) or not holds(caller, group, needed):
        return []
    if state is JobState.QUEUED:
        return ["hold", "cancel"]
    if state is JobState.HELD:
        return ["release", "cancel"]
    return ["requeue", "cancel"] if state in ACTIVE_STATES and state is not JobState.CANCELLING else []
