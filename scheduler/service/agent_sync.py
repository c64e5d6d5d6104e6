"""The agent's one call: take what it observes, tell what it should run and stop, wait for news."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress

from scheduler.model.data_class import DataClassPolicy, effective_data_class
from scheduler.model.job_spec import JobSpec
from scheduler.model.job_state import MOVING_CAUSES, YIELDED_CAUSES, EndCause
from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.model.wire import (
    PROTOCOL_VERSION,
    PROTOCOL_VERSIONS_SPOKEN,
    YIELDED_SINCE_VERSION,
    GangMember,
    LogWant,
    RunOrder,
    SiteContract,
    StopOrder,
    SyncRequest,
    SyncResponse,
)
from scheduler.service.directory import Directory
from scheduler.service.hearing import heard_lag_seconds
from scheduler.service.log_wants import wants_topic
from scheduler.service.outputs import outputs_bytes_max
from scheduler.service.overtaken import NewestSequences
from scheduler.service.run_report import PARTIAL, Taken, Told, take_reports
from scheduler.service.runtime import Runtime
from scheduler.service.site_view import SiteView
from scheduler.store import jobs, logs
from scheduler.store.jobs import JobRow
from scheduler.store.runs import RunRow
from scheduler.store.sites import SiteRow

STARTS_A_RESPONSE_MAX = 1_000
#: How often a waiting request looks at the store, in case a wake-up was lost.
LOOK_SECONDS = 1.0
STOPPED_BY_US_GRACE_SECONDS = 10.0


def contract_of(site: SiteRow, policy: DataClassPolicy) -> SiteContract:
    """What the agent must hold to."""
    return SiteContract(
        csap=site.csap,
        state_facility=site.state_facility,
        classified_network=site.classified_network,
        isolates_users=site.isolates_users,
        trust_domain=site.trust_domain,
        lease_seconds=float(site.lease_seconds),
        supervised=site.supervised,
        policy_version=policy.version,
    )


class AgentSync:
    """Serves syncs of all sites; one for each server process."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._lock = threading.Lock()
        self._views: dict[int, tuple[threading.Lock, SiteView]] = {}
        self._heard: dict[int, float] = {}
        self._newest = NewestSequences()

    async def sync(self, site: SiteRow, request: SyncRequest) -> SyncResponse | Refusal:
        """Answer one request; after news, or when it has waited long enough."""
        if request.protocol not in PROTOCOL_VERSIONS_SPOKEN:
            spoken = ", ".join(map(str, PROTOCOL_VERSIONS_SPOKEN))
            return refuse(ReasonCode.PROTOCOL_UNSUPPORTED, protocol=request.protocol, spoken=spoken)
        clock = self._runtime.clock
        topics = (f"site:{site.id}", wants_topic(site.id))
        with self._runtime.bus.subscribe(*topics) as news:
            began_seconds = clock.monotonic_seconds()
            taken = await self._take(site, request)
            if isinstance(taken, Refusal):
                return taken
            if taken.overtaken:
                request = request.model_copy(update=PARTIAL)
            wait_seconds = min(request.wait_seconds_max, self._runtime.settings.sync_wait_seconds_max)
            first = True
            while True:
                response = await asyncio.to_thread(self._answer, site, request, taken, first)
                left_seconds = wait_seconds - (clock.monotonic_seconds() - began_seconds)
                if left_seconds <= 0 or _is_news(response):
                    return response
                first = False
                for topic, payload in await news.wait_async(min(left_seconds, LOOK_SECONDS)):
                    if topic == topics[1]:
                        with suppress(ValueError):
                            self._runtime.log_wants.heard(site.id, payload)

    async def _take(self, site: SiteRow, request: SyncRequest) -> Taken | Refusal:
        """Write what is new. A request that carries nothing costs a write only now and then: that it was heard."""
        now_seconds = self._runtime.clock.monotonic_seconds()
        heard = now_seconds - self._heard.get(site.id, float("-inf")) >= heard_lag_seconds(site.lease_seconds)
        if not (heard or request.runs or request.capacity is not None or request.complete):
            return Taken((), ())
        settled = self._newest.settled(site.id, now_seconds, site.lease_seconds)
        told = Told(site.id, site.name, request, heard, settled_sequence=settled)
        weight = 1 + 3 * len(request.runs) + (len(request.capacity.nodes) if request.capacity else 0)
        taken = await self._runtime.writer.submit_items_async(take_reports, [told], weight=weight)
        if isinstance(taken, Refusal):
            return taken
        if heard:
            self._heard[site.id] = now_seconds
        if taken[0].newest_sequence is not None:
            self._newest.note(site.id, taken[0].newest_sequence, now_seconds)
        return taken[0]

    def _answer(self, site: SiteRow, request: SyncRequest, taken: Taken, first: bool) -> SyncResponse:
        lock, view = self._view(site.id)
        now_seconds = self._runtime.clock.monotonic_seconds()
        with lock, self._runtime.database.read() as connection:
            view.catch_up(connection)
            if first:
                view.hear(request.sequence, complete=request.complete)
            differs = first and not request.complete and request.live_digest not in ("", view.digest())
            starts = view.starts_due(now_seconds, STARTS_A_RESPONSE_MAX)
            stops = view.stops_due(now_seconds)
            orders: Sequence[RunOrder] = ()
            if starts:
                wanted = jobs.by_ids(connection, (run.job_id for run in starts))
                directory = self._runtime.directories.newest()
                orders = [order_of(run, wanted[run.job_id], directory, self._runtime) for run in starts]
            wants = [
                LogWant(
                    run_id=run_id, epoch=view.live[run_id].epoch, rank=rank, offset=logs.end(connection, run_id, rank)
                )
                for run_id, rank in self._runtime.log_wants.due(site.id, now_seconds)
                if run_id in view.live
            ]
            if view.is_newest(request.sequence):
                # The agent leaves the orders of an older request's answer alone, so they do not count as told.
                view.tell(starts, stops, now_seconds)
            change = view.change
        return SyncResponse(
            protocol=min(request.protocol, PROTOCOL_VERSION),
            lease_seconds=float(site.lease_seconds),
            complete_wanted=differs,
            capacity_version=request.capacity.version if request.capacity else request.capacity_version,
            start=tuple(orders),
            stop=(*(_stop_of(run, request.protocol) for run in stops), *_stops_of_unwanted(taken)),
            forget=taken.forget,
            logs=tuple(wants),
            contract=contract_of(site, self._runtime.policy),
            change=change,
        )

    def _view(self, site_id: int) -> tuple[threading.Lock, SiteView]:
        with self._lock:
            if site_id not in self._views:
                self._views[site_id] = (threading.Lock(), SiteView(site_id))
            return self._views[site_id]


def _is_news(response: SyncResponse) -> bool:
    return bool(response.start or response.stop or response.forget or response.logs or response.complete_wanted)


def _stop_of(run: RunRow, protocol: int) -> StopOrder:
    grace_ms = run.stop_grace_ms or 0
    cause = EndCause(run.stop_cause or EndCause.CANCELLED.value)
    if cause in YIELDED_CAUSES and protocol < YIELDED_SINCE_VERSION:
        cause = EndCause.REQUEUED
    elif cause in MOVING_CAUSES:
        cause = EndCause.MOVED  # how large the job's next run is says that one's order
    return StopOrder(
        run_id=run.id, epoch=run.epoch, cause=cause, grace_seconds=grace_ms / 1000, checkpoint=grace_ms > 0
    )


def _stops_of_unwanted(taken: Taken) -> tuple[StopOrder, ...]:
    return tuple(
        StopOrder(
            run_id=run_id,
            epoch=epoch,
            cause=EndCause.WITHDRAWN,
            grace_seconds=STOPPED_BY_US_GRACE_SECONDS,
            checkpoint=False,
        )
        for run_id, epoch in taken.unwanted
    )


def order_of(run: RunRow, job: JobRow, directory: Directory, runtime: Runtime) -> RunOrder:
    """Everything the agent needs to start a run."""
    spec = JobSpec.model_validate_json(job.spec)
    group = directory.by_id[job.group_id]
    checkpoint = spec.checkpoint
    return RunOrder(
        run_id=run.id,
        job_id=job.id,
        epoch=run.epoch,
        job_name=job.name,
        group=group.path,
        gpu_class=run.gpu_class,
        workers=sum(workers for *_, workers in run.gang),
        gpus_per_worker=run.gpus_per_worker,
        cpus_per_worker=run.cpus_per_worker,
        memory_mib_per_worker=run.memory_mib_per_worker,
        gang=tuple(
            GangMember(node=name, ranks=tuple(range(first, first + workers))) for _, name, first, workers in run.gang
        ),
        command=spec.command,
        environment=spec.environment | _array_environment(job),
        image=spec.image,
        working_directory=spec.working_directory,
        outputs=spec.outputs,
        outputs_bytes_max=outputs_bytes_max(spec, group.output_bytes_max, runtime.settings),
        checkpoint_directory=None if checkpoint is None else checkpoint.directory,
        checkpoint_signal=None if checkpoint is None else checkpoint.signal,
        grace_seconds=10.0 if checkpoint is None else float(checkpoint.grace_seconds),
        walltime_seconds=spec.walltime,
        data_class=effective_data_class(spec.data_class, group.data_class).value,
        trust_domain=group.trust_domain,
        public_sector=group.public_sector,
    )


def _array_environment(job: JobRow) -> dict[str, str]:
    """What a task of an array is told of its place there; the other names of the federation are given by the agent."""
    if job.array_id is None:
        return {}
    return {
        "DURE_ARRAY_JOB_ID": str(job.array_id),
        "DURE_ARRAY_TASK_ID": str(job.array_task),
        "DURE_ARRAY_TASK_COUNT": str(job.array_tasks),
    }
