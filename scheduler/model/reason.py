"""Reasons: stable codes with numbers. A refusal is an answer; the sentences live in ``reason_text``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Number = int | float | str | None


class ReasonKind(StrEnum):
    """What sort of "no" a code is; the HTTP edge and the CLI's exit codes follow it."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    REFUSED = "refused"  #: by quota or policy
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"
    TOO_MANY = "too_many"
    UNAVAILABLE = "unavailable"
    FAULT = "fault"  #: ours; never an answer to what was asked
    WAITING = "waiting"  #: not a refusal: why a job is not running yet
    ENDED = "ended"  #: how a job came to its end


class ReasonCode(StrEnum):
    """Every code the federation answers with. Texts in both languages stand in ``reason_text.TEXTS``."""

    # invalid input
    INVALID_FIELD = "InvalidField"
    INVALID_BODY = "InvalidBody"
    INVALID_CURSOR = "InvalidCursor"
    INVALID_PRECONDITION = "InvalidPrecondition"
    # who you are and what you may
    UNAUTHENTICATED = "Unauthenticated"
    ENROLMENT_REFUSED = "EnrolmentRefused"
    TOKEN_EXPIRED = "TokenExpired"
    TOKEN_REVOKED = "TokenRevoked"
    CSRF_FAILED = "CsrfFailed"
    FORBIDDEN = "Forbidden"
    SCOPE_MISSING = "ScopeMissing"
    RATE_LIMITED = "RateLimited"
    # things that are not there
    JOB_NOT_FOUND = "JobNotFound"
    GROUP_NOT_FOUND = "GroupNotFound"
    SITE_NOT_FOUND = "SiteNotFound"
    PERSON_NOT_FOUND = "PersonNotFound"
    ROLE_NOT_HELD = "RoleNotHeld"
    OUTPUTS_NOT_FOUND = "OutputsNotFound"
    TOKEN_NOT_FOUND = "TokenNotFound"
    CONTENT_NOT_FOUND = "ContentNotFound"
    OFFER_NOT_FOUND = "OfferNotFound"
    RECALL_NOT_FOUND = "RecallNotFound"
    RESERVATION_NOT_FOUND = "ReservationNotFound"
    NODE_NOT_FOUND = "NodeNotFound"
    FIRST_OFFER_ENDS_RUNS = "FirstOfferEndsRuns"  #: it would leave nodes unlent on which runs go on
    DEPENDENCY_NOT_FOUND = "DependencyNotFound"
    ARRAY_NOT_FOUND = "ArrayNotFound"
    JOB_IS_ARRAY = "JobIsArray"  #: the number of an array where one job is wanted
    ROUTE_NOT_FOUND = "RouteNotFound"
    METHOD_NOT_ALLOWED = "MethodNotAllowed"
    # conflicts
    NAME_TAKEN = "NameTaken"
    STATE_CONFLICT = "StateConflict"
    ETAG_MISMATCH = "EtagMismatch"
    IDEMPOTENCY_MISMATCH = "IdempotencyMismatch"
    STALE_EPOCH = "StaleEpoch"
    ALREADY_ENROLLED = "AlreadyEnrolled"
    PROTOCOL_UNSUPPORTED = "ProtocolUnsupported"
    # sizes and service
    BODY_TOO_LARGE = "BodyTooLarge"
    BATCH_TOO_LARGE = "BatchTooLarge"
    CONTENT_TOO_LARGE = "ContentTooLarge"
    CONTENT_MISMATCH = "ContentMismatch"
    NOT_READY = "NotReady"
    INTERNAL_FAULT = "InternalFault"
    # refused by quota or policy, at submit: can never run as things are set
    EXCEEDS_LIMIT = "ExceedsLimit"
    EXCEEDS_GUARANTEE = "ExceedsGuarantee"  #: work that cannot be preempted and is larger than its group's guarantee
    EXCEEDS_CAPACITY = "ExceedsCapacity"
    UNKNOWN_GPU_CLASS = "UnknownGpuClass"
    CLASS_WITHOUT_RATE = "ClassWithoutRate"  #: it is not in the exchange table
    NO_SITE_FITS = "NoSiteFits"
    NO_DOMAIN_FITS = "NoDomainFits"  #: a site could hold it, but no domain of the level that it requires
    NO_NODE_FITS = "NoNodeFits"  #: one worker asks for more of something than any node has
    NO_GPUS = "NoGpus"  #: no site has reported a GPU yet
    DATA_CLASS_NOT_ALLOWED = "DataClassNotAllowed"
    NEVER_LENT_TO = "NeverLentTo"  #: no offer serves its sector, data class and priority
    TOO_FEW_LENT = "TooFewLent"  #: a site could hold it, but offers it fewer nodes
    WINDOWS_TOO_SHORT = "WindowsTooShort"  #: no offer lends for long enough at a stretch
    ONLY_RECALLABLE = "OnlyRecallable"  #: work that cannot be preempted, and all offers are recalled or end
    DEADLINE_TOO_SOON = "DeadlineTooSoon"  #: it could not be over by then even if it started now
    DEPENDENCY_NEVER_MET = "DependencyNeverMet"  #: it has to follow the success of a job that failed
    GUARANTEE_EXCEEDED = "GuaranteeExceeded"  #: Σ children's guarantees above the parent's
    QUOTA_INCONSISTENT = "QuotaInconsistent"
    LIMIT_BELOW_GUARANTEED = "LimitBelowGuaranteed"
    FEDERATION_QUOTA = "FederationQuota"  #: the federation has a limit and nothing else
    CELLS_BEYOND_PARENT = "CellsBeyondParent"  #: children's cells are some of their parent's
    CELLS_ABOVE_GUARANTEE = "CellsAboveGuarantee"  #: the cells in a guarantee have more GPUs than it says
    CELLS_EXCEEDED = "CellsExceeded"  #: all granted cells could not be held at once
    CELLS_IN_THE_WAY = "CellsInTheWay"  #: they could, but for what cannot be called back
    CELLS_UNPROVEN = "CellsUnproven"  #: nothing proves that they could, nor that they could not
    SECTOR_DIFFERS = "SectorDiffers"  #: from the parent's
    TREE_TOO_DEEP = "TreeTooDeep"
    GROUP_CYCLE = "GroupCycle"
    # refused by what a site lends
    NEVER_OFFERED = "NeverOffered"  #: a recall by a site that never made an offer
    NOTHING_TO_RECALL = "NothingToRecall"  #: no offer with a notice lends at the deadline
    FEWER_LENT = "FewerLent"  #: than are recalled
    RECALL_TOO_SOON = "RecallTooSoon"  #: for the offers' notice and minimum hold
    FEWER_NODES = "FewerNodes"  #: than should be reserved
    # why a job waits
    NOT_YET_EVALUATED = "NotYetEvaluated"
    HELD_BY_OWNER = "HeldByOwner"
    WAITING_FOR_CAPACITY = "WaitingForCapacity"
    NOT_LENT_NOW = "NotLentNow"  #: nodes are there that the site does not lend now, to nobody
    NOT_LENT_TO = "NotLentTo"  #: what is lent would do, but on terms that keep the job out
    LENT_TOO_SHORT = "LentTooShort"  #: enough is free, but taken back before the job could be done or save its state
    WAITING_FOR_NODES = "WaitingForNodes"  #: enough GPUs are free, but not in the shape asked for
    KEPT_FOR_CELLS = (
        "KeptForCells"  #: enough is free, but in cells from which it could not be called back, or beside its own
    )
    RESERVED_FOR_OTHERS = (
        "ReservedForOthers"  #: there is room, but for a job ahead that needs it before this one were over
    )
    WAITING_FOR_QUOTA = "WaitingForQuota"
    WAITING_FOR_BORROWING = "WaitingForBorrowing"
    WAITING_FOR_GUARANTEE = "WaitingForGuarantee"  #: non-preemptible work starts only inside the guarantee
    WAITING_BEHIND_OTHERS = "WaitingBehindOthers"
    WAITING_FOR_SITE = "WaitingForSite"  #: every site that could serve it is cordoned, stopped or silent
    SITE_CLOSED = "SiteClosed"  #: one site that takes nothing now
    WAITING_FOR_CHECKPOINT_SITE = "WaitingForCheckpointSite"
    REFUSED_BY_SITE = "RefusedBySite"  #: which is not asked again for a while
    WAITING_FOR_RETRY = "WaitingForRetry"  #: a run was lost to the infrastructure; a while, then it is placed again
    WAITING_AFTER_FAILURE = "WaitingAfterFailure"  #: its command failed; a while, then it is placed again
    WAITING_FOR_START = "WaitingForStart"  #: of another job
    WAITING_FOR_SUCCESS = "WaitingForSuccess"  #: of another job
    WAITING_FOR_ARRAY = "WaitingForArray"  #: as many tasks of its array run as may
    WAITING_FOR_EARMARK = "WaitingForEarmark"  #: nodes are held for it, which other runs are leaving
    WAITING_FOR_AGENT = "WaitingForAgent"
    SITE_UNREACHABLE = "SiteUnreachable"
    STOPPING = "Stopping"
    STOPPED_FOR_CLAIM = "StoppedForClaim"  #: its run makes way for a job with a higher claim
    STOPPED_FOR_LENDER = "StoppedForLender"  #: the lender wants its nodes back
    STOPPED_FOR_GANG = "StoppedForGang"  #: its run is moved so that a gang finds room
    STOPPED_TO_SHRINK = "StoppedToShrink"  #: its run goes on with fewer workers
    STOPPED_TO_GROW = "StoppedToGrow"  #: its run goes on with more workers
    # when a waiting job would start, and on what grounds that is known or not
    ETA_NEXT_ROUND = "EtaNextRound"
    ETA_BY_WALLTIMES = "EtaByWalltimes"
    ETA_BY_PREDICTIONS = "EtaByPredictions"  #: of runs that end before, from what like jobs took
    ETA_BY_LENDING = "EtaByLending"  #: a site lends more from then on
    ETA_BY_REFUSAL = "EtaByRefusal"  #: a site that refused it is asked again then
    ETA_BEYOND_FORECAST = "EtaBeyondForecast"
    ETA_WITHOUT_WALLTIME = "EtaWithoutWalltime"  #: runs of which nobody can tell when they end are in its way
    ETA_NOT_AS_THINGS_ARE = "EtaNotAsThingsAre"  #: it would not start on an empty federation either
    ETA_TOO_MANY_WAITING = "EtaTooManyWaiting"
    ETA_NOT_LOOKED_AT = "EtaNotLookedAt"  #: no round looks at it now, or it came after the forecast
    LATE_FOR_DEADLINE = "LateForDeadline"  #: a warning beside the estimate
    # how near to the best possible the federation was, or why that is not known
    CERTIFICATE_STANDS = "CertificateStands"
    CERTIFICATE_NOT_MADE = "CertificateNotMade"  #: no scheduler has led for long enough
    CERTIFICATE_WITHOUT_JOBS = "CertificateWithoutJobs"  #: none succeeded of which anything can be said
    PRICES_TOO_MANY_WAITING = "PricesTooManyWaiting"
    # why nothing starts on a node
    NODE_SET_ASIDE = "NodeSetAside"  #: by the bad-node memory
    NODE_SET_ASIDE_BY = "NodeSetAsideBy"  #: by a person
    # how it ended
    COMMAND_FAILED = "CommandFailed"
    NEVER_STARTED = "NeverStarted"  #: by its own doing: no such command, a working directory that cannot be unpacked
    COMMAND_KILLED = "CommandKilled"  #: by SIGKILL: most often for want of memory
    FAILS_ALIKE = "FailsAlike"  #: at once and in the same way, again and again
    WALLTIME_EXCEEDED = "WalltimeExceeded"
    CANCELLED_BY = "CancelledBy"
    INFRASTRUCTURE_FAILED = "InfrastructureFailed"
    DEADLINE_MISSED = "DeadlineMissed"  #: it waited until it could not be over by its deadline
    DEPENDENCY_FAILED = "DependencyFailed"  #: a job that had to succeed first did not


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A code and the numbers that fill its sentence. ``field`` names the part of the input it speaks of.

    ``numbers`` holds plain JSON values. ``per_site`` repeats the pair for every site that was considered.
    """

    code: ReasonCode
    numbers: Mapping[str, Number] = field(default_factory=dict)
    field: str | None = None
    per_site: tuple[SiteReason, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteReason:
    """Why one considered site does not take the job now."""

    site: str
    code: ReasonCode
    numbers: Mapping[str, Number] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The answer "no": one reason or more, the first the one that decides."""

    reasons: tuple[Reason, ...]

    @property
    def code(self) -> ReasonCode:
        """The deciding code."""
        return self.reasons[0].code


def refuse(code: ReasonCode, *, field: str | None = None, **numbers: Number) -> Refusal:
    """Build a refusal of one reason."""
    return Refusal(reasons=(Reason(code=code, field=field, numbers=numbers),))
