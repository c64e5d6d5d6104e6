"""The agent's messages: one idempotent, level-triggered sync, and enrolment.

The server speaks this protocol version and the one before it. Either side may repeat or lose any message.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from scheduler.model.job_state import EndCause, RunPhase

PROTOCOL_VERSION = 2
PROTOCOL_VERSIONS_SPOKEN = (1, 2)
#: Agents know ``YIELDED_CAUSES`` from this version on; to older ones such a stop is a requeue.
YIELDED_SINCE_VERSION = 2

INTEGER_MAX = 2**31 - 1
#: The last moment that a date can tell: beyond any time that is meant.
TIME_MS_MAX = 253_402_300_799_999
ID_MAX = 2**63 - 1
MESSAGE_CHARACTERS_MAX = 2000


def _clipped(lowest: int, highest: int) -> Callable[[Any], Any]:
    def clip(value: Any) -> Any:
        return min(max(value, lowest), highest) if isinstance(value, int) else value

    return clip


def _storable(text: Any) -> Any:
    """What databases take of ``text``: no NUL, nothing that is no character, and not too much of it."""
    if not isinstance(text, str):
        return text
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:MESSAGE_CHARACTERS_MAX]


#: One odd number of one run must not silence its whole site: it is brought into bounds instead of refused.
TimeMs = Annotated[int, BeforeValidator(_clipped(0, TIME_MS_MAX))]
ExitCode = Annotated[int, BeforeValidator(_clipped(-INTEGER_MAX - 1, INTEGER_MAX))]
MessageText = Annotated[str, BeforeValidator(_storable)]

Name = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$")]


class Message(BaseModel):
    """Base of all messages: immutable, unknown fields ignored so that partners may upgrade late."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class NodeReport(Message):
    """One node as the agent sees it. ``gpus`` are those Dure may use: what the owner's own work holds is subtracted."""

    name: Name
    pool: Name
    gpu_class: Name
    gpus: int = Field(ge=0, le=1024)
    cpus: int = Field(ge=0, le=100_000)
    memory_mib: int = Field(ge=0, le=1_000_000_000)
    domain: tuple[Name, ...] = Field(default=(), max_length=3)
    healthy: bool = True


class CapacityReport(Message):
    """Nodes of a site. ``version`` counts the agent's own changes.

    ``complete`` means that a node which is not listed is gone; otherwise the list holds what changed since
    ``since_version`` and ``removed`` the names that went.
    """

    version: int = Field(ge=0, le=ID_MAX)
    complete: bool
    since_version: int = 0
    nodes: tuple[NodeReport, ...] = ()
    removed: tuple[Name, ...] = ()


class RunReport(Message):
    """What the agent saw of one run. Times are the agent's, in ms since the epoch UTC, never guessed by the server.

    ``node`` names the node of the gang on which it failed first, where the site knows that it was that node's doing.
    """

    run_id: int = Field(ge=1, le=ID_MAX)
    epoch: int = Field(ge=1, le=INTEGER_MAX)
    phase: RunPhase
    started_ms: TimeMs | None = None
    ended_ms: TimeMs | None = None
    exit_code: ExitCode | None = None
    cause: EndCause | None = None
    message: MessageText = ""
    node: MessageText | None = None


class SyncRequest(Message):
    """What the agent observes.

    ``runs`` holds the runs that changed since the last answer (all of them when ``complete``); a run that ended is
    repeated until the answer's ``forget`` names it. ``live_digest`` is ``digest_of_runs`` over every run of the agent
    that has not ended; when it differs from the server's, the answer asks for a complete report.
    ``wait_seconds_max`` is how long the agent is willing to wait for news.
    """

    protocol: int
    agent: Name
    sequence: int = Field(ge=0, le=ID_MAX)
    complete: bool
    capacity: CapacityReport | None = None
    capacity_version: int = 0
    runs: tuple[RunReport, ...] = ()
    live_digest: str = ""
    wait_seconds_max: float = Field(default=0.0, ge=0, le=60)


class GangMember(Message):
    """Workers on one node: ``ranks`` lists their numbers, each with ``gpus_per_worker`` GPUs."""

    node: Name
    ranks: tuple[int, ...]


class RunOrder(Message):
    """A run the site should have. Sent again and again until the agent reports the run.

    ``working_directory`` is the digest of an archive to fetch from the content store. ``checkpoint_directory`` is
    "auto" (the site keeps one for the job) or the address of an object store. Ordered by value, not by reference:
    the agent needs nothing else to start it.
    """

    run_id: int
    job_id: int
    epoch: int
    job_name: str
    group: str
    gpu_class: str
    workers: int
    gpus_per_worker: int
    cpus_per_worker: int
    memory_mib_per_worker: int
    gang: tuple[GangMember, ...]
    command: tuple[str, ...]
    environment: dict[str, str]
    image: str | None
    working_directory: str | None
    outputs: tuple[str, ...]
    outputs_bytes_max: int
    checkpoint_directory: str | None
    checkpoint_signal: str | None
    grace_seconds: float
    walltime_seconds: int | None
    data_class: Literal["C", "S", "O"]
    trust_domain: str
    public_sector: bool


class StopOrder(Message):
    """A run to end: the checkpoint signal first where ``checkpoint`` says so, within ``grace_seconds``."""

    run_id: int
    epoch: int
    cause: EndCause
    grace_seconds: float
    checkpoint: bool


class LogWant(Message):
    """Somebody reads a log: send what follows ``offset`` bytes of the worker's log."""

    run_id: int
    epoch: int
    rank: int
    offset: int


class LogAnswer(Message):
    """The server's answer to bytes of a log: the offset it wants next, whatever was sent (a gap or a repeat mends itself)."""

    next_offset: int = Field(ge=0)


class SyncResponse(Message):
    """What the site should do. ``lease_seconds`` renews every run of the agent, counted from the moment the agent sent
    the request; one that is being stopped until its grace is over. ``contract`` is sent when it has changed; the agent
    then holds to it. ``change`` is the record's change number that the orders come from: of two answers the one with
    the higher number knows more, whichever was asked first; 0 where the server does not say."""

    protocol: int
    lease_seconds: float
    complete_wanted: bool = False
    capacity_version: int = 0
    start: tuple[RunOrder, ...] = ()
    stop: tuple[StopOrder, ...] = ()
    forget: tuple[int, ...] = ()
    logs: tuple[LogWant, ...] = ()
    contract: SiteContract | None = None
    change: int = 0


class EnrolRequest(Message):
    """First contact of an agent: the one-time token is in the Authorization header."""

    protocol: int
    agent: Name


class SiteContract(Message):
    """What the agent must hold to: the site's security grade and how its leases run."""

    csap: str
    state_facility: bool
    classified_network: bool
    isolates_users: bool
    trust_domain: str | None
    lease_seconds: float
    supervised: bool
    policy_version: str


class EnrolResponse(Message):
    """The agent's own credential, shown once, with its site's contract."""

    site: str
    credential: str
    contract: SiteContract


_PRIME = (1 << 61) - 1


def digest_of_runs(runs: list[tuple[int, int]]) -> str:
    """Digest of a set of (run id, epoch), independent of order and cheap to keep up to date by both sides.

    A sum of products modulo a Mersenne prime: equal sets give equal digests; it guards against lost messages, not
    against an adversary, who would hold the agent's credential anyway.
    """
    return digest_of_run_sum(len(runs), sum(term_of_run(run_id, epoch) for run_id, epoch in runs))


def term_of_run(run_id: int, epoch: int) -> int:
    """What one run adds to the digest's sum."""
    return pow(run_id * 1_000_003 + epoch, 3, _PRIME)


def digest_of_run_sum(count: int, total: int) -> str:
    """The digest of ``count`` runs whose terms sum to ``total``."""
    return f"{count}:{total % _PRIME:x}"
