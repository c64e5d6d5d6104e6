"""Who is asking: a person by a token, with the roles they hold."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.service.secret import hash_of
from scheduler.service.shared_read import SharedReads
from scheduler.service.time_text import time_text
from scheduler.store import memberships, people, tokens
from scheduler.store.tokens import Token

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from scheduler.clock import Clock
    from scheduler.store.database import Database

CALLERS_MAX = 10_000


class Scope(StrEnum):
    """What a token may be used for; each contains the ones before it."""

    READ = "read"
    SUBMIT = "submit"
    MANAGE = "manage"


class Role(StrEnum):
    """What a person may do on a group and all below it; administrator and auditor on the federation alone."""

    VIEWER = "viewer"
    SUBMITTER = "submitter"
    MANAGER = "manager"
    AUDITOR = "auditor"
    ADMINISTRATOR = "administrator"


_SCOPE_ORDER = (Scope.READ, Scope.SUBMIT, Scope.MANAGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A person, the token that acts for them, and the roles they hold themselves; the tree says what is inherited."""

    person_id: int
    person: str
    token: Token
    roles: Mapping[int, frozenset[Role]]  #: by group id
    sites: frozenset[int]  #: ids of the sites they operate
    administrator: bool
    auditor: bool

    def may(self, scope: Scope) -> bool:
        """Whether the token's scopes contain ``scope``."""
        held = max((_SCOPE_ORDER.index(Scope(each)) for each in self.token.scopes), default=-1)
        return held >= _SCOPE_ORDER.index(scope)


def read_caller(connection: Connection, secret: str, now_ms: int) -> Caller | Refusal:
    """Find out who holds ``secret``, or why it is not good."""
    return _caller_of(connection, tokens.by_hash(connection, hash_of(secret)), now_ms)


def _caller_of(connection: Connection, token: Token | None, now_ms: int) -> Caller | Refusal:
    if token is None:
        return refuse(ReasonCode.UNAUTHENTICATED)
    refusal = why_not_usable(token, now_ms)
    if refusal is not None:
        return refusal
    person = people.by_id(connection, token.person_id)
    if person is None:
        return refuse(ReasonCode.UNAUTHENTICATED)
    roles: dict[int, set[Role]] = {}
    for membership in memberships.of_person(connection, person.id):
        roles.setdefault(membership.group_id, set()).add(Role(membership.role))
    held = {role for each in roles.values() for role in each}
    return Caller(
        person_id=person.id,
        person=person.name,
        token=token,
        roles={group: frozenset(each) for group, each in roles.items()},
        sites=frozenset(memberships.sites_of(connection, person.id)),
        administrator=Role.ADMINISTRATOR in held,
        auditor=Role.AUDITOR in held,
    )


def why_not_usable(token: Token, now_ms: int) -> Refusal | None:
    """Why a token is not good any more; None while it is."""
    if token.revoked_ms is not None:
        return refuse(ReasonCode.TOKEN_REVOKED)
    if token.expires_ms is not None and token.expires_ms <= now_ms:
        return refuse(ReasonCode.TOKEN_EXPIRED, expired_at=time_text(token.expires_ms))
    return None


class Callers:
    """Callers by secret, remembered for a moment. Thread-safe. What this process changes itself holds at once."""

    def __init__(self, database: Database, clock: Clock, staleness_seconds_max: float) -> None:
        self._database = database
        self._clock = clock
        self._staleness_seconds_max = staleness_seconds_max
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, Caller]] = {}
        self._known_again: dict[int, tuple[float, Caller]] = {}
        self._forgotten = 0
        self._reads = SharedReads[Caller | Refusal]()

    def remembered(self, secret: str) -> Caller | None:
        """The caller, if asked about a moment ago; without I/O."""
        return self._fresh(self._known.get(secret))

    async def newest(self, secret: str) -> Caller | Refusal:
        """Who holds ``secret``: as read a moment ago, or now, once for all that ask. Who asks after ``forget`` has what
        is read after it."""
        known = self.remembered(secret)
        if known is not None:
            return known
        return await self._reads.ask((secret, self._forgotten), lambda: self.find(secret))

    def _fresh(self, entry: tuple[float, Caller] | None) -> Caller | None:
        if entry is None or self._clock.monotonic_seconds() - entry[0] >= self._staleness_seconds_max:
            return None
        if why_not_usable(entry[1].token, self._clock.now_ms()) is not None:
            return None
        return entry[1]

    def find(self, secret: str) -> Caller | Refusal:
        """Read who holds ``secret``."""
        now_seconds, forgotten = self._clock.monotonic_seconds(), self._forgotten
        with self._database.read() as connection:
            caller = read_caller(connection, secret, self._clock.now_ms())
        if isinstance(caller, Caller):
            with self._lock:
                if len(self._known) >= CALLERS_MAX:
                    self._known = {}
                if forgotten == self._forgotten:
                    self._known[secret] = (now_seconds, caller)
        return caller

    def again(self, caller: Caller) -> Caller | Refusal:
        """Who ``caller`` is now: with the roles that they hold by now, or why their token is not good any more.

        All that is long with one token share one look into the store.
        """
        known = self._fresh(self._known_again.get(caller.token.id))
        if known is not None:
            return known
        now_seconds, forgotten = self._clock.monotonic_seconds(), self._forgotten
        with self._database.read() as connection:
            found = _caller_of(connection, tokens.by_id(connection, caller.token.id), self._clock.now_ms())
        if isinstance(found, Caller):
            with self._lock:
                if len(self._known_again) >= CALLERS_MAX:
                    self._known_again = {}
                if forgotten == self._forgotten:
                    self._known_again[caller.token.id] = (now_seconds, found)
        return found

    def forget(self) -> None:
        """Read everybody again: roles or tokens have changed."""
        with self._lock:
            self._forgotten += 1
            self._known = {}
            self._known_again = {}
