"""From a job's view to what its templates show."""

from __future__ import annotations

from scheduler.model.counterfactual_text import counterfactual_text
from scheduler.model.job_state import ACTIVE_STATES, TERMINAL_STATES, JobState
from scheduler.model.reason import Reason, Refusal, SiteReason
from scheduler.model.reason_text import sentence
from scheduler.portal.pages import JobLine, JobStatus, RunLine, SiteLine, TimelineLine
from scheduler.portal.render import Language, show_duration, show_time
from scheduler.service.access import holds
from scheduler.service.caller import Caller, Role, Scope
from scheduler.service.job_view import JobView
from scheduler.service.jobs import job_events, show_job, why_job
from scheduler.service.runtime import Runtime
from scheduler.store.events import Event

EVENTS_SHOWN_MAX = 200


def reason_text(reason: Reason | SiteReason | None, language: Language) -> str:
    """A reason's sentence; nothing for none."""
    return "" if reason is None else sentence(reason.code, reason.numbers, language)


def job_line(view: JobView, language: Language) -> JobLine:
    """A job in a list."""
    row = view.row
    return JobLine(
        id=row.id,
        name=row.name,
        group=view.group,
        state=row.state,
        gpus=f"{view.gpu_class} × {row.gpus}" if view.gpu_class else str(row.gpus),
        site=view.site or "–",
        submitted=show_time(row.submitted_ms),
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
    events = job_events(runtime, caller, job_id, (0, 0), EVENTS_SHOWN_MAX)
    if isinstance(why, Refusal) or isinstance(events, Refusal):
        return why if isinstance(why, Refusal) else refusal_of(events)
    state = JobState(detail.job.row.state)
    other = why.counterfactual
    return JobStatus(
        job=job_line(detail.job, language),
        is_live=state not in TERMINAL_STATES,
        counterfactual=None if other is None else counterfactual_text(other, language),
        sites=[SiteLine(site=each.site, text=reason_text(each, language)) for each in why.sites],
        runs=[
            RunLine(
                epoch=run.row.epoch,
                site=run.site,
                phase=run.row.phase,
                nodes=", ".join(part[1] for part in run.row.gang[:8]),
                started=show_time(run.row.started_ms),
                ended=show_time(run.row.ended_ms),
                cause=run.row.cause or "–",
            )
            for run in detail.runs
        ],
        timeline=[timeline_line(event) for event in events],
        actions=actions_of(runtime, caller, detail.job, state),
        gpu_seconds=f"{detail.gpu_milliseconds / 1000:.1f}",
        form_value=form_value,
    )


def refusal_of(answer: object) -> Refusal:
    """The refusal that an answer is."""
    assert isinstance(answer, Refusal)
    return answer


def timeline_line(event: Event) -> TimelineLine:
    """Something that happened, in one line."""
    what = str(event.data.get("state") or event.kind)
    cause = event.data.get("cause")
    return TimelineLine(
        at=show_time(event.at_ms), what=f"{what} ({cause})" if cause else what, actor=event.actor, why=event.why
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
