"""From what use cases answer to the documents that are published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scheduler.api.array_schemas import ArrayTaskOut
from scheduler.api.cell_documents import cell_documents
from scheduler.api.group_schemas import GroupOut
from scheduler.api.schemas import (
    AlternativeOut,
    CounterfactualOut,
    EtaOut,
    EventOut,
    JobDetailOut,
    JobOut,
    QuotaOut,
    ReasonOut,
    RetryOut,
    RunOut,
    RunTimeOut,
    SiteReasonOut,
    TokenOut,
)
from scheduler.model.counterfactual_text import alternative_text, counterfactual_text
from scheduler.model.group_order import GroupOrder
from scheduler.model.job_spec import JobSpec
from scheduler.model.reason import Reason, SiteReason
from scheduler.model.reason_text import sentence
from scheduler.service.caller import Caller
from scheduler.service.deadlines import deadline_of
from scheduler.service.directory import GroupView
from scheduler.service.eta import EtaView
from scheduler.service.groups import roles_on
from scheduler.service.job_view import JobDetail, JobView, RunView
from scheduler.service.quota_fact import quota_fact
from scheduler.service.quotas import QuotaView
from scheduler.service.run_time_view import RunTimeView, run_time_of
from scheduler.service.tally import budgets_of, category_text
from scheduler.service.time_text import time_text
from scheduler.service.tokens import TokenView
from scheduler.store.events import Event


def time_or_none(at_ms: int | None) -> str | None:
    """A time as text where there is one."""
    return None if at_ms is None else time_text(at_ms)


def reason_document(reason: Reason | SiteReason) -> ReasonOut:
    """A reason with its sentence in both languages."""
    return ReasonOut(
        code=reason.code.value,
        numbers=dict(reason.numbers),
        text=sentence(reason.code, reason.numbers, "en"),
        text_ko=sentence(reason.code, reason.numbers, "ko"),
    )


def site_reason_document(reason: SiteReason) -> SiteReasonOut:
    """What one site says."""
    return SiteReasonOut(site=reason.site, reason=reason_document(reason))


def counterfactual_document(value: Mapping[str, Any] | None) -> CounterfactualOut | None:
    """What would start a job."""
    if value is None:
        return None
    return CounterfactualOut(
        text=counterfactual_text(value, "en"),
        text_ko=counterfactual_text(value, "ko"),
        site=value["site"],
        gpu_class=value["gpu_class"],
        nodes=value["nodes"],
        gpus_per_node=value["gpus_per_node"],
        raises=[list(each) for each in value["raises"]],
        preemptible=value["preemptible"],
        open_site=value["open_site"],
        domain=value["domain"],
        walltime_seconds=value["walltime_seconds"],
        lent=value["lent"],
        term=value["term"],
        opens_at=value["opens_at"],
    )


def alternative_documents(values: Sequence[Mapping[str, Any]]) -> list[AlternativeOut]:
    """With what else a job would start."""
    return [
        AlternativeOut(text=alternative_text(each, "en"), text_ko=alternative_text(each, "ko"), **each)
        for each in values
    ]


def eta_document(eta: EtaView | None) -> EtaOut | None:
    """An estimate, where there is one."""
    if eta is None:
        return None
    return EtaOut(
        start_at=time_or_none(eta.start_ms),
        reason=reason_document(eta.reason),
        made_at=time_text(eta.made_ms),
        late=None if eta.late is None else reason_document(eta.late),
    )


def _job_fields(view: JobView) -> dict[str, Any]:
    row, spec = view.row, view.spec
    return {
        "id": row.id,
        "name": row.name,
        "group": view.group,
        "person": view.person,
        "state": row.state,
        "gpus": view.gpus,
        "workers": view.workers,
        "workers_max": spec.workers_max,
        "gpus_per_worker": spec.gpus_per_worker,
        "gpu_classes": list(spec.gpu_classes),
        "gpu_class": view.gpu_class,
        "site": view.site,
        "priority_class": spec.priority_class,
        "data_class": view.data_class,
        "preemptible": spec.preemptible,
        "submitted_at": time_text(row.submitted_ms),
        "started_at": time_or_none(row.started_ms),
        "ended_at": time_or_none(row.ended_ms),
        "elapsed_seconds": None if view.elapsed_ms is None else view.elapsed_ms / 1000,
        "epoch": row.epoch,
        "exit_code": row.exit_code,
        "reason": None if view.reason is None else reason_document(view.reason),
        "has_outputs": row.outputs is not None,
        "eta": eta_document(view.eta),
        "array": _array_task(view),
        "deadline": time_or_none(deadline_of(row)),
        "start_by": time_or_none(row.start_by_ms),
    }


def _array_task(view: JobView) -> ArrayTaskOut | None:
    row = view.row
    if row.array_id is None or row.array_task is None or row.array_tasks is None:
        return None
    return ArrayTaskOut(id=row.array_id, task=row.array_task, tasks=row.array_tasks, running_max=row.array_running_max)


def job_document(view: JobView) -> JobOut:
    """A job as lists show it."""
    return JobOut(**_job_fields(view))


def job_detail_document(detail: JobDetail) -> JobDetailOut:
    """A job with its file and its runs."""
    return JobDetailOut(
        **_job_fields(detail.job),
        spec=spec_document(detail.job.spec),
        runs=[run_document(run) for run in detail.runs],
        gpu_seconds=detail.gpu_milliseconds / 1000,
        run_time=run_time_document(run_time_of(detail.job.row, detail.job.predicted_class)),
        run_times=[run_time_document(each) for each in detail.by_class],
        bound_site=detail.bound_site,
        retries=[
            RetryOut(category=each.category.value, failed=each.failed, retries=each.retries)
            for each in budgets_of(detail.job.row)
        ],
    )


def run_time_document(view: RunTimeView) -> RunTimeOut:
    """How long a job runs, on which class, and who says so."""
    return RunTimeOut(
        seconds=None if view.run_ms is None else view.run_ms / 1000,
        basis=view.basis.value,
        text=view.text("en"),
        text_ko=view.text("ko"),
        gpu_class=view.gpu_class,
        class_basis=None if view.class_basis is None else view.class_basis.value,
    )


def spec_document(spec: JobSpec) -> dict[str, Any]:
    """The job file as JSON."""
    return spec.model_dump(mode="json", by_alias=True)


def run_document(run: RunView) -> RunOut:
    """One attempt of a job."""
    row = run.row
    return RunOut(
        id=row.id,
        epoch=row.epoch,
        site=run.site,
        gpu_class=row.gpu_class,
        gpus=row.gpus,
        workers=row.gpus // row.gpus_per_worker,
        nodes=[part[1] for part in row.gang],
        phase=row.phase,
        leased_at=time_text(row.leased_ms),
        started_at=time_or_none(row.started_ms),
        ended_at=time_or_none(row.ended_ms),
        exit_code=row.exit_code,
        cause=row.cause,
        message=row.message,
        category=category_text(row),
    )


def event_document(event: Event) -> EventOut:
    """Something that happened."""
    return EventOut(
        id=f"{event.change}.{event.part}",
        at=time_text(event.at_ms),
        kind=event.kind,
        actor=event.actor,
        why=event.why,
        data=event.data,
    )


def group_document(caller: Caller, view: GroupView) -> GroupOut:
    """A group as the caller sees it."""
    row = view.row
    return GroupOut(
        path=row.path,
        name=row.name,
        kind=row.kind,
        sector=row.sector,
        parent=view.parent_path,
        data_class=view.data_class.value,
        trust_domain=view.trust_domain,
        output_bytes_max=view.output_bytes_max,
        order=view.order,
        own_order=None if row.job_order is None else GroupOrder(row.job_order),
        etag=str(row.change),
        example=row.example,
        roles_of_caller=roles_on(caller, view),
        created_at=time_text(row.created_ms),
    )


def quota_document(view: QuotaView) -> QuotaOut:
    """A quota and its use."""
    row, use = view.row, view.use
    return QuotaOut(
        group=view.group,
        gpu_class=view.gpu_class,
        guaranteed=0 if row is None else row.guaranteed,
        guaranteed_effective=use.guaranteed_effective,
        limit=None if row is None else row.limit,
        borrowing_limit=None if row is None else row.borrowing_limit,
        lending_limit=None if row is None else row.lending_limit,
        weight=1 if row is None else row.weight,
        cells=[] if row is None else cell_documents(quota_fact(row).cells),
        cells_effective=use.cells_effective,
        used=use.used,
        used_borrowed=use.borrowed,
        fair_share=use.fair_share,
        queued_gpus=use.queued,
        past_use_gpus=round(use.past_use_gpus, 3),
        standing_gpu_seconds=use.standing_gpu_seconds,
        standing_gpus=round(use.standing_gpus, 3),
        lent_gpus=round(use.lent_gpus, 3),
        surged_gpus=round(use.surged_gpus, 3),
        lends_gpus=use.lends_gpus,
        surges_gpus=use.surges_gpus,
        etag=None if row is None else str(row.change),
    )


def token_document(view: TokenView) -> TokenOut:
    """A token without its secret."""
    token = view.token
    return TokenOut(
        id=token.id,
        name=token.name,
        person=view.person,
        prefix=token.prefix,
        scopes=list(token.scopes),
        created_at=time_text(token.created_ms),
        expires_at=time_or_none(token.expires_ms),
        revoked_at=time_or_none(token.revoked_ms),
    )
