"""A real runtime over SQLite with a clock that the test turns, and a stage on which a scheduler and agents act in turns."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from empty_record import put_empty_record

from scheduler.bootstrap import Wiring, first_administrator, open_runtime
from scheduler.clock import Clock, ManualClock
from scheduler.model.data_class import DEFAULT_POLICY
from scheduler.model.job_spec import JobSpec
from scheduler.model.job_state import EndCause, RunPhase
from scheduler.model.reason import Refusal
from scheduler.model.shape import DataClass
from scheduler.model.wire import (
    PROTOCOL_VERSION,
    CapacityReport,
    NodeReport,
    RunReport,
    SyncRequest,
    SyncResponse,
    digest_of_runs,
)
from scheduler.service.agent_sync import AgentSync
from scheduler.service.caller import Caller
from scheduler.service.checkpoint import save_ms_of
from scheduler.service.deadlines import start_by_of
from scheduler.service.follow import Follower
from scheduler.service.loop import LEADERSHIP, SchedulerLoop
from scheduler.service.runtime import Runtime
from scheduler.service.settings import Settings
from scheduler.store import groups, jobs, leadership, ledger, people, runs, sites
from scheduler.store.fence import Fence
from scheduler.store.groups import NewGroup
from scheduler.store.idempotency import Answer
from scheduler.store.jobs import JobRow
from scheduler.store.runs import RunRow
from scheduler.store.sites import SiteRow
from scheduler.store.submissions import NewJob, Submission
from scheduler.store.transaction import WriteTransaction

#: What another part wrote shows at once; nobody is slowed down.
SETTINGS = Settings(rate_per_second=100_000, rate_burst=100_000, staleness_seconds_max=0.0, round_interval_seconds=0.1)


@contextmanager
def make_runtime(
    folder: Path, clock: Clock | None = None, *, database_url: str | None = None, settings: Settings = SETTINGS
) -> Iterator[Runtime]:
    """Every part of a process over SQLite in ``folder``, or over another database, by the clock that is handed in."""
    if database_url is None:
        file = folder / "dure.sqlite"
        put_empty_record(file)
        database_url = f"sqlite:///{file}"
    with open_runtime(Wiring(database_url=database_url, settings=settings), clock or ManualClock()) as runtime:
        yield runtime


def administrator_of(runtime: Runtime, name: str = "administrator") -> Caller:
    """A person who administers the federation, as use cases are handed them."""
    caller = runtime.callers.find(first_administrator(runtime, name))
    assert isinstance(caller, Caller)
    return caller


def accepted(answer: SyncResponse | Refusal) -> SyncResponse:
    """The answer of a sync that is not refused."""
    assert isinstance(answer, SyncResponse), answer
    return answer


class ScriptedAgent:
    """A site's agent that says what the test has it say, and keeps nothing but the number of its requests."""

    def __init__(self, stage: Stage, site_id: int) -> None:
        self.site_id = site_id
        self._stage = stage
        self.sequence = 1 << 32

    @property
    def site(self) -> SiteRow:
        """The site as it is now."""
        with self._stage.runtime.database.read() as connection:
            row = sites.by_id(connection, self.site_id)
        assert row is not None
        return row

    def request(self, *reports: RunReport, **values: Any) -> SyncRequest:
        """The next request."""
        self.sequence += 1
        told: dict[str, Any] = {
            "protocol": PROTOCOL_VERSION, "agent": "agent-1", "sequence": self.sequence, "complete": False, "runs": reports,
        }  # fmt: skip
        return SyncRequest.model_validate(told | values)

    def sync(self, *reports: RunReport, **values: Any) -> SyncResponse:
        """Tell something, and be answered at once unless ``wait_seconds_max`` says otherwise."""
        return accepted(self.send(self.request(*reports, **values)))

    def send(self, request: SyncRequest) -> SyncResponse | Refusal:
        """Send a request, whenever it was made."""
        return asyncio.run(self._stage.agent_sync.sync(self.site, request))

    def compare(self, live: Iterable[tuple[int, int]]) -> SyncResponse:
        """A request that carries nothing but the digest of (run, epoch) that the agent holds."""
        return self.sync(live_digest=digest_of_runs(list(live)))

    def report_nodes(self, *nodes: NodeReport, version: int = 1, complete: bool = True) -> SyncResponse:
        """Tell capacity."""
        return self.sync(capacity=CapacityReport(version=version, complete=complete, nodes=nodes))


class Stage:
    """Server and scheduler in turns: nothing happens but what the test does."""

    def __init__(self, runtime: Runtime, clock: ManualClock) -> None:
        self.runtime = runtime
        self.clock = clock
        self.agent_sync = AgentSync(runtime)
        self.loop = SchedulerLoop(runtime, "tested")
        self.follower = Follower(runtime.database, clock, DEFAULT_POLICY, runtime.settings.preemption)
        self.fence = self.lead("tested")

    def lead(self, holder: str) -> Fence:
        """Take the leadership."""
        fence = leadership.acquire(
            self.runtime.database, name=LEADERSHIP, holder=holder, duration_ms=10_000, now_ms=self.clock.now_ms()
        )
        assert fence is not None, "somebody else leads"
        return fence

    def turn(self) -> int:
        """One turn of the scheduler; how many runs it leased."""
        return self.loop.turn(self.follower, self.fence)

    def restart_server(self) -> None:
        """A server that remembers nothing."""
        self.agent_sync = AgentSync(self.runtime)

    def group(self, name: str = "research") -> int:
        """A group right below the federation; its id."""
        new = NewGroup(parent_id=1, name=name, path=name, kind="sector", sector="research")
        made = self.runtime.database.run(lambda transaction: groups.add(transaction, new)).id
        self.runtime.directories.forget()
        return made

    def agent(self, name: str = "site-1", *, nodes: int = 1, gpus: int = 8, **contract: Any) -> ScriptedAgent:
        """A site with an agent that has told of its nodes."""
        defaults: dict[str, Any] = {
            "owner": "o", "operator": "o", "facility": "f", "csap": "none", "state_facility": False,
            "classified_network": False, "isolates_users": True, "trust_domain": None, "supervised": True,
            "lease_seconds": 30, "state": "active", "state_reason": "", "credential_hash": name,
        }  # fmt: skip
        row = self.runtime.database.run(
            lambda transaction: sites.add(transaction, **(defaults | contract | {"name": name}))
        )
        agent = ScriptedAgent(self, row.id)
        agent.report_nodes(*(node(f"{name}-{number}", gpus) for number in range(nodes)))
        return agent

    def submit(self, group_id: int, count: int = 1, *, person: str = "jiwoo", **spec: Any) -> list[int]:
        """Queue ``count`` equal jobs of one GPU, unless told otherwise; their ids."""
        owner = self.runtime.database.run(lambda transaction: people.ensure(transaction, person))
        values: dict[str, Any] = {"name": "job", "group": "research", "command": ["true"], "memory_per_worker": 16}
        parsed = JobSpec.model_validate(values | spec)
        new = NewJob(
            group_id=group_id,
            person_id=owner.id,
            name=parsed.name,
            state="queued",
            shape=parsed.shape(DataClass.OPEN),
            priority=parsed.priority,
            spec=parsed.model_dump_json(exclude_defaults=True, by_alias=True),
            retries=parsed.retries.program,
            submitted_ms=self.clock.now_ms(),
            walltime_ms=None if parsed.walltime is None else parsed.walltime * 1000,
            save_ms=save_ms_of(parsed.checkpoint),
            awaits=parsed.dependencies,
            array=parsed.tasks,
            start_by_ms=start_by_of(parsed, self.clock.now_ms()),
        )
        submission = Submission(
            key=None,
            actor=owner.name,
            jobs=[new] * count,
            answer=lambda ids: Answer(status=201, body=",".join(map(str, ids))),
        )

        def insert(transaction: WriteTransaction) -> list[int]:
            (answer,) = self.runtime.submitter.insert(transaction, [submission])
            assert isinstance(answer, Answer)
            return [int(number) for number in answer.body.split(",")]

        return self.runtime.database.run(insert)

    def job(self, job_id: int) -> JobRow:
        """A job as the record has it."""
        with self.runtime.database.read() as connection:
            row = jobs.by_id(connection, job_id)
        assert row is not None
        return row

    def run(self, job_id: int) -> RunRow:
        """The newest run of a job."""
        return self.runs(job_id)[-1]

    def runs(self, job_id: int) -> list[RunRow]:
        """All runs of a job, oldest first."""
        with self.runtime.database.read() as connection:
            return runs.of_job(connection, job_id)

    def change_run(self, run_id: int, **values: Any) -> None:
        """Write a run's columns as a use case would."""
        self.runtime.database.run(lambda transaction: runs.change(transaction, run_id, **values))

    def change_job(self, job_id: int, **values: Any) -> None:
        """Write a job's columns as a use case would."""
        self.runtime.database.run(lambda transaction: jobs.change(transaction, job_id, **values))

    def charged(self, run_id: int) -> list[int]:
        """What a run's group was charged or lost, entry by entry, in GPU-milliseconds; each has its counterpart."""
        with self.runtime.database.read() as connection:
            entries = ledger.of_run(connection, run_id)
        debits = [each.gpu_milliseconds for each in entries if each.account_kind != ledger.PROVIDER]
        assert sum(each.gpu_milliseconds for each in entries) == 0, entries
        assert [-each.gpu_milliseconds for each in entries if each.account_kind == ledger.PROVIDER] == debits
        return debits


def node(name: str, gpus: int = 8, **values: Any) -> NodeReport:
    """A healthy node."""
    defaults: dict[str, Any] = {"pool": "default", "gpu_class": "h100", "cpus": 64, "memory_mib": 65_536}
    return NodeReport(name=name, gpus=gpus, **(defaults | values))


def runs_now(run: RunRow, started_ms: int, phase: RunPhase = RunPhase.RUNNING) -> RunReport:
    """The report of a run that goes on."""
    return RunReport(run_id=run.id, epoch=run.epoch, phase=phase, started_ms=started_ms)


def ended(
    run: RunRow,
    started_ms: int | None,
    ended_ms: int,
    *,
    cause: EndCause = EndCause.EXITED,
    exit_code: int | None = 0,
    node: str | None = None,
) -> RunReport:
    """The report of a run's end; by itself and well, unless told otherwise."""
    return RunReport(
        run_id=run.id,
        epoch=run.epoch,
        phase=RunPhase.ENDED,
        started_ms=started_ms,
        ended_ms=ended_ms,
        cause=cause,
        exit_code=exit_code if cause is EndCause.EXITED else None,
        node=node,
    )


def ids_of(orders: Sequence[Any]) -> list[int]:
    """The runs that orders name."""
    return [order.run_id for order in orders]
