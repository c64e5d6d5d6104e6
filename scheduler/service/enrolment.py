"""An agent's first contact, and who it is afterwards."""

from __future__ import annotations

import hashlib
import hmac
import threading

from sqlalchemy import Connection

from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.model.wire import PROTOCOL_VERSIONS_SPOKEN, EnrolRequest, EnrolResponse
from scheduler.service.agent_sync import contract_of
from scheduler.service.overtaken import ABOVE_ALL
from scheduler.service.runtime import Runtime
from scheduler.service.secret import SITE_PREFIX, derived_secret, hash_of
from scheduler.store import sites
from scheduler.store.sites import SiteRow
from scheduler.store.transaction import WriteTransaction


def enrol(
    transaction: WriteTransaction, runtime: Runtime, token: str, key: str, request: EnrolRequest
) -> EnrolResponse | Refusal:
    """Exchange a one-time token for the agent's own credential.

    The credential follows from the token and the request's key, so that a request repeated after a lost answer gets
    the same one, while nothing but hashes is stored; another key comes too late.
    """
    if request.protocol not in PROTOCOL_VERSIONS_SPOKEN:
        spoken = ", ".join(map(str, PROTOCOL_VERSIONS_SPOKEN))
        return refuse(ReasonCode.PROTOCOL_UNSUPPORTED, protocol=request.protocol, spoken=spoken)
    if not is_known(transaction.connection, token):
        return refuse(ReasonCode.ENROLMENT_REFUSED)
    _ = transaction.change
    site = sites.by_enrolment_hash(transaction.connection, hash_of(token))
    if site is None:
        return refuse(ReasonCode.ENROLMENT_REFUSED)
    credential = derived_secret(SITE_PREFIX, token, key)
    hashed = hash_of(credential)
    if site.enrolment_expires_ms is None:
        if not hmac.compare_digest(site.credential_hash or "", hashed):
            return refuse(ReasonCode.ALREADY_ENROLLED)
    elif site.enrolment_expires_ms <= transaction.now_ms:
        return refuse(ReasonCode.ENROLMENT_REFUSED)
    else:
        # Another agent knows nothing of what the one before it ran: for a while nothing that it leaves out is gone.
        newest = None if site.credential_hash is None else ABOVE_ALL
        sites.change(
            transaction,
            site.id,
            credential_hash=hashed,
            enrolment_expires_ms=None,
            agent=request.agent,
            heard_ms=transaction.now_ms,
            heard_sequence=newest,
        )
        transaction.event("site.enrolled", actor=f"agent:{site.name}", site_id=site.id, data={"agent": request.agent})
    return EnrolResponse(site=site.name, credential=credential, contract=contract_of(site, runtime.policy))


def is_known(connection: Connection, token: str) -> bool:
    """Whether ``token`` is some site's: anybody may ask, so that guessing must cost no write."""
    return sites.by_enrolment_hash(connection, hash_of(token)) is not None


class SiteCallers:
    """Which site's agent holds a credential; remembered for a moment. Thread-safe."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._lock = threading.Lock()
        self._known: dict[bytes, tuple[float, SiteRow]] = {}

    def remembered(self, credential: str) -> SiteRow | None:
        """The site, if asked about a moment ago; without I/O."""
        known = self._known.get(_digest(credential))
        fresh_seconds = self._runtime.settings.staleness_seconds_max
        if known is None or self._runtime.clock.monotonic_seconds() - known[0] >= fresh_seconds:
            return None
        return known[1]

    def find(self, credential: str) -> SiteRow | Refusal:
        """The site, or a refusal for a credential that is none."""
        now_seconds = self._runtime.clock.monotonic_seconds()
        with self._runtime.database.read() as connection:
            site = sites.by_credential_hash(connection, hash_of(credential))
        if site is None:
            return refuse(ReasonCode.UNAUTHENTICATED)
        with self._lock:
            self._known[_digest(credential)] = (now_seconds, site)
        return site


def _digest(credential: str) -> bytes:
    return hashlib.sha256(credential.encode()).digest()
