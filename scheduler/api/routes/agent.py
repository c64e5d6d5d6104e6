"""The agents' side: enrolment, the one sync, logs, outputs, and contents of working directories."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import ValidationError

from scheduler.api.content_stream import content_response
from scheduler.api.dependencies import IdempotencyHeader, RuntimeHere, keep_rate, runtime_of
from scheduler.api.problem import RefusedError, answered, refusal_of_validation
from scheduler.api.schemas import DatabaseId
from scheduler.model.job_spec import DIGEST_PATTERN
from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.model.wire import EnrolRequest, EnrolResponse, LogAnswer, SyncRequest, SyncResponse
from scheduler.service import agent_files
from scheduler.service.agent_sync import AgentSync
from scheduler.service.enrolment import SiteCallers, enrol, is_known
from scheduler.store import content
from scheduler.store.sites import SiteRow
from scheduler.store.transaction import WriteTransaction

router = APIRouter(prefix="/agent", tags=["agent"])

_bearer = HTTPBearer(auto_error=False, scheme_name="Agent", description="The site's own credential: `dure_site_…`")

#: Anybody may try an enrolment token, so that each address may only so often.
ENROLMENTS_PER_SECOND = 1.0
ENROLMENTS_BURST = 30

Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def secret_of(credentials: Credentials) -> str:
    """What the agent presents."""
    if credentials is None:
        raise RefusedError(refuse(ReasonCode.UNAUTHENTICATED))
    return credentials.credentials


async def site_of(request: Request, secret: Annotated[str, Depends(secret_of)]) -> SiteRow:
    """The site whose agent asks."""
    callers: SiteCallers = request.app.state.site_callers
    known = callers.remembered(secret)
    return known if known is not None else answered(await asyncio.to_thread(callers.find, secret))


Site = Annotated[SiteRow, Depends(site_of)]
RunNumber = Annotated[DatabaseId, Path()]
Epoch = Annotated[int, Query(ge=1, le=2**31)]


@router.post("/enrol")
async def enrol_agent(
    request: Request,
    body: EnrolRequest,
    runtime: RuntimeHere,
    secret: Annotated[str, Depends(secret_of)],
    key: IdempotencyHeader,
) -> EnrolResponse:
    """Exchange the one-time token for the agent's own credential."""
    address = "?" if request.client is None else request.client.host
    await keep_rate(runtime, f"enrol:{address}", rate_per_second=ENROLMENTS_PER_SECOND, burst=ENROLMENTS_BURST)

    def known() -> bool:
        with runtime.database.read() as connection:
            return is_known(connection, secret)

    if not await asyncio.to_thread(known):
        raise RefusedError(refuse(ReasonCode.ENROLMENT_REFUSED))

    def act(transaction: WriteTransaction) -> EnrolResponse | Refusal:
        return enrol(transaction, runtime, secret, key, body)

    return answered(await runtime.writer.submit_async(act))


@router.post(
    "/sync",
    response_model=SyncResponse,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/SyncRequest"}}},
        }
    },
)
async def sync(request: Request, site: Site) -> Response:
    """Tell what the site observes, be told what it should run and stop; waits for news as long as the agent will."""
    try:
        told = SyncRequest.model_validate_json(await request.body())
    except ValidationError as wrong:
        raise RefusedError(refusal_of_validation(wrong.errors(include_url=False, include_context=False))) from wrong
    agent_sync: AgentSync = request.app.state.agent_sync
    answer = answered(await agent_sync.sync(site, told))
    return Response(answer.model_dump_json(), media_type="application/json")


@router.post("/runs/{run}/log")
async def take_log(
    request: Request,
    run: RunNumber,
    site: Site,
    epoch: Epoch,
    rank: Annotated[int, Query(ge=0, le=100_000)],
    offset: Annotated[int, Query(ge=0, le=2**40)],
    ended: Annotated[bool, Query()] = False,
) -> LogAnswer:
    """Bytes of one worker's log from ``offset`` on; the answer is the offset wanted next."""
    data = await request.body()

    def act(transaction: WriteTransaction) -> int | Refusal:
        return agent_files.take_log(
            transaction, site, run, epoch=epoch, rank=rank, offset=offset, data=data, ended=ended
        )

    return LogAnswer(next_offset=answered(await runtime_of(request).writer.submit_async(act)))


@router.put("/runs/{run}/outputs", status_code=204)
async def take_outputs(request: Request, run: RunNumber, site: Site, epoch: Epoch) -> Response:
    """What a run left behind, as tar.gz."""
    runtime = runtime_of(request)
    bytes_max = answered(await asyncio.to_thread(agent_files.output_bytes_max, runtime, site, run, epoch))
    with content.Incoming(bytes_max=bytes_max) as incoming:
        async for piece in request.stream():
            refusal = await asyncio.to_thread(incoming.write, piece)
            if refusal is not None:
                raise RefusedError(refusal)
        answered(await asyncio.to_thread(agent_files.keep_outputs, runtime, run, incoming))
    return Response(status_code=204)


@router.get("/content/{digest}", response_class=Response, responses={200: {"content": {"application/gzip": {}}}})
async def fetch_content(
    digest: Annotated[str, Path(pattern=DIGEST_PATTERN)], runtime: RuntimeHere, site: Site
) -> Response:
    """A working directory that a run of the site needs."""
    size = answered(await asyncio.to_thread(agent_files.content_size, runtime, site, digest))
    return content_response(runtime, digest, size)
