"""What every use case needs, in one hand. The composition root makes it; tests make it over real parts."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.clock import Clock
from scheduler.model.data_class import DataClassPolicy
from scheduler.service.caller import Callers
from scheduler.service.directory import Directories
from scheduler.service.log_wants import LogWants
from scheduler.service.settings import Settings
from scheduler.service.world import World
from scheduler.store.bus import Bus
from scheduler.store.database import Database
from scheduler.store.group_commit import GroupCommit
from scheduler.store.limiter import Limiter
from scheduler.store.submissions import Submitter
from scheduler.store.transaction import WriteTransaction

#: Topic of changed roles and tokens, and of a changed tree.
ACCESS_TOPIC = "access"


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """One process's parts. Everything in it may be used from any thread."""

    settings: Settings
    clock: Clock
    database: Database
    writer: GroupCommit
    bus: Bus
    limiter: Limiter
    policy: DataClassPolicy
    submitter: Submitter
    callers: Callers
    directories: Directories
    world: World
    log_wants: LogWants


def access_changed(transaction: WriteTransaction, runtime: Runtime) -> None:
    """Have every process read roles, tokens and the tree again once ``transaction`` is durable."""
    transaction.on_commit(runtime.callers.forget)
    transaction.on_commit(runtime.directories.forget)
    transaction.after_commit(ACCESS_TOPIC)


def lending_changed(transaction: WriteTransaction, runtime: Runtime) -> None:
    """Have rounds and requests learn what sites lend once ``transaction`` is durable."""
    transaction.on_commit(runtime.world.forget)
    transaction.after_commit("scheduler")
