"""Sites and their operators."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from scheduler.api.dependencies import (
    Cursor,
    IdempotencyHeader,
    Limit,
    Managing,
    Reading,
    RuntimeHere,
    cursor_of,
    perform,
    read_cursor,
    runtime_of,
    with_body,
    write,
)
from scheduler.api.problem import answered
from scheduler.api.schemas import PersonName, Slug, Why, WhyIn
from scheduler.api.site_schemas import (
    BlockIn,
    EnrolmentOut,
    NewSiteOut,
    OperatorIn,
    SiteContractOut,
    SiteGpusOut,
    SiteIn,
    SiteOut,
    SitePage,
    SiteRunOut,
    SiteRunPage,
)
from scheduler.model.job_spec import GpuClassName
from scheduler.model.reason import Refusal
from scheduler.service import site_blocks
from scheduler.service import sites as service
from scheduler.service.caller import Caller
from scheduler.service.runtime import Runtime
from scheduler.service.sites import NewEnrolment, NewSite, SiteInput, SiteRun, SiteView
from scheduler.service.time_text import time_text
from scheduler.store.sites import SiteRow
from scheduler.store.transaction import WriteTransaction

router = APIRouter(tags=["sites"])


class Action(StrEnum):
    """What an operator does with a site."""

    CORDON = "cordon"
    DRAIN = "drain"
    RESUME = "resume"
    STOP = "stop"
    DECLARE_LOST = "declare-lost"


def site_document(view: SiteView) -> SiteOut:
    """The site as the caller may see it."""
    row = view.row
    public = SiteOut(
        name=row.name,
        owner=row.owner,
        operator=row.operator,
        facility=row.facility,
        state=row.state,
        reachable=view.reachable,
        gpu_classes=[SiteGpusOut(gpu_class=name, total=total, free=free) for name, total, free in view.gpu_classes],
        nodes=view.nodes,
        csap=row.csap,
        isolates_users=row.isolates_users,
        data_classes=list(view.data_classes),
    )
    if not view.inspected:
        return public
    return SiteContractOut(
        **public.model_dump(),
        state_reason=row.state_reason,
        heard_at=None if row.heard_ms is None else time_text(row.heard_ms),
        lease_seconds=row.lease_seconds,
        supervised=row.supervised,
        trust_domain=row.trust_domain,
        agent=row.agent,
        operators=list(view.operators),
        enrolled=row.credential_hash is not None,
        nodes_set_aside=view.nodes_set_aside,
        block_nodes=row.block_nodes or {},
    )


class KeptSite(BaseModel):
    """What is stored of the answer to a registration: everything but the token, which only the caller can have made."""

    site: SiteContractOut
    nonce: str
    enrolment_expires_at: str


def _kept(new: NewSite) -> KeptSite:
    document = site_document(new.view)
    assert isinstance(document, SiteContractOut), "who registers a site may inspect it"
    return KeptSite(site=document, nonce=new.nonce, enrolment_expires_at=time_text(new.enrolment_expires_ms))


@router.post("/sites", status_code=201, response_model=NewSiteOut)
async def register_site(
    request: Request, body: SiteIn, caller: Managing, key: IdempotencyHeader, runtime: RuntimeHere
) -> Response:
    """Register a site; its agent's one-time token is shown to whoever sent this very request."""
    presented = request.headers["Authorization"].split(" ", 1)[1]
    new = SiteInput(**body.model_dump(exclude={"why"}))

    def act(transaction: WriteTransaction) -> NewSite | Refusal:
        return service.register_site(transaction, runtime, caller, presented, new, body.why)

    answer = await perform(request, caller, key, act, _kept, status=201)
    kept = KeptSite.model_validate_json(bytes(answer.body))
    token = service.enrolment_token(presented, kept.nonce)
    document = NewSiteOut(
        **kept.site.model_dump(),
        enrolment_token=token,
        enrolment_expires_at=kept.enrolment_expires_at,
        agent_command=_agent_command(request, token),
    )
    return with_body(answer, document)


class KeptEnrolment(BaseModel):
    """What is stored of the answer to a renewed enrolment, as in ``KeptSite``."""

    site: str
    nonce: str
    enrolment_expires_at: str


def _kept_enrolment(new: NewEnrolment) -> KeptEnrolment:
    return KeptEnrolment(site=new.site, nonce=new.nonce, enrolment_expires_at=time_text(new.enrolment_expires_ms))


@router.post("/sites/{name}/enrolment", status_code=201, response_model=EnrolmentOut)
async def renew_enrolment(
    request: Request, name: Slug, body: WhyIn, caller: Managing, key: IdempotencyHeader, runtime: RuntimeHere
) -> Response:
    """A new one-time token for the site's agent. The credential in use holds until the token is used."""
    presented = request.headers["Authorization"].split(" ", 1)[1]

    def act(transaction: WriteTransaction) -> NewEnrolment | Refusal:
        return service.renew_enrolment(transaction, runtime, caller, presented, name, body.why)

    answer = await perform(request, caller, key, act, _kept_enrolment, status=201)
    kept = KeptEnrolment.model_validate_json(bytes(answer.body))
    token = service.enrolment_token(presented, kept.nonce)
    document = EnrolmentOut(
        site=kept.site,
        enrolment_token=token,
        enrolment_expires_at=kept.enrolment_expires_at,
        agent_command=_agent_command(request, token),
    )
    return with_body(answer, document)


def _agent_command(request: Request, token: str) -> str:
    """What to run on the site. Where its Ray is, only the site knows."""
    server = str(request.base_url).rstrip("/")
    return (
        f"DURE_ENROLMENT_TOKEN={token} dure agent --server {server} --state ./dure-agent "
        "--connector ray --ray-dashboard http://127.0.0.1:8265"
    )


@router.get("/sites")
def list_sites(runtime: RuntimeHere, caller: Reading, cursor: Cursor = None, limit: Limit = 100) -> SitePage:
    """Sites, by name."""
    after = read_cursor(cursor, str)
    views = [view for view in service.list_sites(runtime, caller) if after is None or view.row.name > after[0]]
    items = [site_document(view) for view in views[:limit]]
    following = cursor_of(views[limit - 1].row.name) if len(views) > limit else None
    return SitePage(items=items, next_cursor=following)


@router.get("/sites/{name}", response_model=SiteContractOut | SiteOut)
def show_site(name: Slug, runtime: RuntimeHere, caller: Reading) -> SiteOut:
    """One site."""
    return site_document(answered(service.show_site(runtime, caller, name)))


@router.get("/sites/{name}/runs")
def list_site_runs(
    name: Slug, runtime: RuntimeHere, caller: Reading, cursor: Cursor = None, limit: Limit = 100
) -> SiteRunPage:
    """What runs on a site, for its operators: size, group and times."""
    after = read_cursor(cursor, int)
    found = answered(service.site_runs(runtime, caller, name, after[0] if after else 0, limit + 1))
    following = cursor_of(found[limit - 1].run.id) if len(found) > limit else None
    return SiteRunPage(items=[_run_document(each) for each in found[:limit]], next_cursor=following)


def _run_document(each: SiteRun) -> SiteRunOut:
    run = each.run
    return SiteRunOut(
        run=run.id,
        group=each.group,
        gpus=run.gpus,
        gpu_class=run.gpu_class,
        nodes=[part[1] for part in run.gang],
        phase=run.phase,
        leased_at=time_text(run.leased_ms),
        started_at=None if run.started_ms is None else time_text(run.started_ms),
    )


def _contract(runtime: Runtime, caller: Caller, row: SiteRow) -> SiteOut:
    """The site after a change, as who made it may see it."""
    return site_document(service.view_after(runtime, caller, row))


@router.post("/sites/{name}/operators", response_model=SiteContractOut)
async def add_operator(
    request: Request, name: Slug, body: OperatorIn, caller: Managing, key: IdempotencyHeader, runtime: RuntimeHere
) -> Response:
    """Make a person an operator of the site."""

    def act(transaction: WriteTransaction) -> SiteRow | Refusal:
        return service.change_operator(transaction, runtime, caller, name, body.person, body.why, add=True)

    return await perform(request, caller, key, act, partial(_contract, runtime, caller))


@router.delete("/sites/{name}/operators/{person}", status_code=204)
async def remove_operator(
    request: Request,
    name: Slug,
    person: PersonName,
    caller: Managing,
    runtime: RuntimeHere,
    why: Annotated[Why, Query()] = "",
) -> Response:
    """Take the role away."""

    def act(transaction: WriteTransaction) -> SiteRow | Refusal:
        return service.change_operator(transaction, runtime, caller, name, person, why, add=False)

    await write(request, act)
    return Response(status_code=204)


@router.put("/sites/{name}/blocks/{gpu_class}", response_model=SiteContractOut)
async def set_block(
    request: Request, name: Slug, gpu_class: GpuClassName, body: BlockIn, caller: Managing, runtime: RuntimeHere
) -> SiteOut:
    """Have so many nodes of each leaf take work, of a GPU class; the others stay spares."""

    def act(transaction: WriteTransaction) -> SiteRow | Refusal:
        return site_blocks.set_block(transaction, runtime, caller, name, gpu_class, body.nodes, body.why)

    return _contract(runtime, caller, await write(request, act))


@router.delete("/sites/{name}/blocks/{gpu_class}", status_code=204)
async def clear_block(
    request: Request,
    name: Slug,
    gpu_class: GpuClassName,
    caller: Managing,
    runtime: RuntimeHere,
    why: Annotated[Why, Query()] = "",
) -> Response:
    """Have all nodes of a GPU class take work again."""

    def act(transaction: WriteTransaction) -> SiteRow | Refusal:
        return site_blocks.clear_block(transaction, runtime, caller, name, gpu_class, why)

    await write(request, act)
    return Response(status_code=204)


@router.post("/sites/{name}/{action}", response_model=SiteContractOut)
async def act_on_site(
    request: Request, name: Slug, action: Action, body: WhyIn, caller: Managing, key: IdempotencyHeader
) -> Response:
    """Cordon, drain, resume, stop at once, or declare lost."""
    runtime = runtime_of(request)

    def act(transaction: WriteTransaction) -> SiteRow | Refusal:
        if action is Action.DECLARE_LOST:
            return service.declare_lost(transaction, runtime, caller, name, body.why)
        state = service.STATE_OF_ACTION[action.value]
        return service.set_site_state(transaction, runtime, caller, name, state, body.why)

    return await perform(request, caller, key, act, partial(_contract, runtime, caller))
