"""The composition root: the one module that knows which adapters exist."""

from __future__ import annotations

import gc
import json
import logging
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TextIO, cast

import orjson
import structlog
import uvicorn
from fastapi import FastAPI
from structlog.typing import Processor

from scheduler.api.app import create_app, create_monitor
from scheduler.clock import Clock, SystemClock
from scheduler.log_lines import LogLines
from scheduler.model.data_class import DEFAULT_POLICY
from scheduler.model.errors import ConfigurationError
from scheduler.portal.app import install_portal
from scheduler.service.caller import Callers, Role, Scope
from scheduler.service.directory import Directories
from scheduler.service.log_wants import LogWants
from scheduler.service.loop import SchedulerLoop
from scheduler.service.runtime import ACCESS_TOPIC, Runtime
from scheduler.service.secret import PERSON_PREFIX, SHOWN_CHARACTERS, hash_of, new_secret
from scheduler.service.settings import Settings
from scheduler.service.world import World
from scheduler.store import gpu_classes, groups, memberships, people, tokens
from scheduler.store.bus import Bus
from scheduler.store.bus_memory import MemoryBus
from scheduler.store.bus_redis import RedisBus
from scheduler.store.database import Database
from scheduler.store.group_commit import GroupCommit
from scheduler.store.limiter import Limiter
from scheduler.store.limiter_memory import MemoryLimiter
from scheduler.store.limiter_redis import RedisLimiter
from scheduler.store.submissions import Submitter
from scheduler.store.transaction import WriteTransaction

#: Credits of one GPU-hour against an H100's, as a first table; administrators set the federation's own.
CREDITS: dict[str, tuple[int, int]] = {
    "a100": (1, 2), "h100": (1, 1), "h200": (5, 4), "b200": (9, 4), "gb200": (5, 2), "b300": (3, 1),
}  # fmt: skip
GRACEFUL_SECONDS = 5
GARBAGE_OBJECTS = 50_000
RATE_MAX = 999_999_999


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """Where the record is, and what carries wake-ups: Redis where a URL is given, else this process."""

    database_url: str
    redis_url: str | None = None
    settings: Settings = field(default_factory=Settings)


def settings_from_environment(settings: Settings) -> Settings:
    """``settings`` with what the environment says: ``DURE_RATE_PER_SECOND``, ``DURE_RATE_BURST``,
    ``DURE_MINIMUM_RUN_SECONDS``, ``DURE_CERTIFICATE_SECONDS`` and ``DURE_SECURE_COOKIES``.

    Raises ConfigurationError for what they cannot be.
    """
    numbers: dict[str, int] = {}
    for name, least in (
        ("DURE_RATE_PER_SECOND", 1),
        ("DURE_RATE_BURST", 1),
        ("DURE_MINIMUM_RUN_SECONDS", 0),
        ("DURE_CERTIFICATE_SECONDS", 1),
    ):
        text = os.environ.get(name)
        if text is None:
            continue
        if not re.fullmatch("[0-9]{1,9}", text) or int(text) < least:
            raise ConfigurationError(
                f"{name} is {text!r}: write a whole number from {least} to {RATE_MAX}",
                f"{name} 값이 {text!r}입니다. {least}부터 {RATE_MAX}까지의 정수를 쓰십시오",
            )
        numbers[name] = int(text)
    secure = os.environ.get("DURE_SECURE_COOKIES", "")
    if secure not in ("", "0", "1"):
        # A word that is taken for "no" would send cookies in the clear.
        raise ConfigurationError(
            f"DURE_SECURE_COOKIES is {secure!r}: write 1 or 0",
            f"DURE_SECURE_COOKIES 값이 {secure!r}입니다. 1이나 0을 쓰십시오",
        )
    return replace(
        settings,
        rate_per_second=numbers.get("DURE_RATE_PER_SECOND", settings.rate_per_second),
        rate_burst=numbers.get("DURE_RATE_BURST", settings.rate_burst),
        minimum_run_seconds=numbers.get("DURE_MINIMUM_RUN_SECONDS", settings.minimum_run_seconds),
        certificate_seconds=numbers.get("DURE_CERTIFICATE_SECONDS", settings.certificate_seconds),
        secure_cookies=secure == "1" or settings.secure_cookies,
    )


def _refuse_a_missing_folder(database_url: str) -> None:
    scheme, _, path = database_url.partition(":///")
    folder = Path(path.partition("?")[0]).parent
    if scheme == "sqlite" and not folder.is_dir():
        raise ConfigurationError(
            f"--database {database_url}: there is no folder {folder}, make it first",
            f"--database {database_url}: {folder} 폴더가 없습니다. 먼저 만드십시오",
        )


def _bus(redis_url: str | None) -> Bus:
    try:
        return MemoryBus() if redis_url is None else RedisBus(redis_url)
    except ValueError as fault:
        raise ConfigurationError(
            "--redis is no address: write redis://HOST:PORT/NUMBER",
            "--redis가 주소가 아닙니다. redis://HOST:PORT/NUMBER로 쓰십시오",
        ) from fault


@contextmanager
def open_runtime(wiring: Wiring, clock: Clock | None = None) -> Iterator[Runtime]:
    """Build a process's parts, the schema brought up to date; close them in order at the end."""
    clock = clock or SystemClock()
    settings = wiring.settings
    _refuse_a_missing_folder(wiring.database_url)
    with ExitStack() as stack:
        bus = _bus(wiring.redis_url)
        stack.callback(bus.close)
        limiter: Limiter = MemoryLimiter() if wiring.redis_url is None else RedisLimiter(wiring.redis_url, clock=clock)
        stack.callback(limiter.close)
        database = Database(wiring.database_url, clock=clock, bus=bus)
        stack.callback(database.close)
        database.migrate()
        database.run(_seed_gpu_classes)
        writer = GroupCommit(database)
        stack.callback(writer.close)
        runtime = Runtime(
            settings=settings,
            clock=clock,
            database=database,
            writer=writer,
            bus=bus,
            limiter=limiter,
            policy=DEFAULT_POLICY,
            submitter=Submitter(),
            callers=Callers(database, clock, settings.staleness_seconds_max),
            directories=Directories(database, clock, settings.staleness_seconds_max),
            world=World(database, clock, DEFAULT_POLICY, settings.staleness_seconds_max, settings.preemption),
            log_wants=LogWants(clock, bus),
        )
        stack.enter_context(_hearing_of_access(runtime))
        yield runtime


def _seed_gpu_classes(transaction: WriteTransaction) -> None:
    if gpu_classes.every(transaction.connection):
        return
    for name, (numerator, denominator) in CREDITS.items():
        gpu_classes.put(
            transaction, name=name, valid_from_ms=0, credit_numerator=numerator, credit_denominator=denominator
        )


@contextmanager
def _hearing_of_access(runtime: Runtime) -> Iterator[None]:
    """Forget remembered roles and groups as soon as any process has changed them."""
    subscription = runtime.bus.subscribe(ACCESS_TOPIC)
    ended = threading.Event()

    def listen() -> None:
        while not ended.is_set():
            if subscription.wait(1.0):
                runtime.callers.forget()
                runtime.directories.forget()

    thread = threading.Thread(target=listen, name="access", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        subscription.close()
        thread.join(2)


def first_administrator(runtime: Runtime, name: str, *, lifetime_seconds: int | None = None) -> str:
    """Make ``name`` an administrator, with direct access to the store, and answer a token of theirs, shown once."""
    secret = new_secret(PERSON_PREFIX)
    seconds = lifetime_seconds or runtime.settings.token_lifetime_seconds_default

    def make(transaction: WriteTransaction) -> None:
        person = people.ensure(transaction, name)
        root = groups.by_path(transaction.connection, groups.ROOT_PATH)
        assert root is not None, "the first migration writes the federation itself"
        memberships.add(transaction, person_id=person.id, group_id=root.id, role=Role.ADMINISTRATOR.value)
        tokens.add(
            transaction,
            person_id=person.id,
            name="first",
            prefix=secret[:SHOWN_CHARACTERS],
            hash_=hash_of(secret),
            scopes=[Scope.MANAGE.value],
            expires_ms=transaction.now_ms + seconds * 1000,
        )
        transaction.event("member.added", actor="command line", why="first administrator", data={"person": name})

    runtime.database.run(make)
    return secret


def build_app(runtime: Runtime) -> FastAPI:
    """API and portal over one runtime."""
    app = create_app(runtime)
    install_portal(app)
    return app


def serve(runtime: Runtime, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT, and return: whoever called has more to close.

    Raises ConfigurationError for an address that cannot be listened on.
    """
    config = uvicorn.Config(
        build_app(runtime),
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )
    listening = _listen(host, port)
    server = uvicorn.Server(config)
    _collect_garbage_seldom()

    def end(*_: object) -> None:
        server.should_exit = True

    # uvicorn raises what it was sent once more when it is done: by default that would end the process there and then,
    # with the leadership held and the writer open.
    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run(sockets=[listening])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def monitored(runtime: Runtime, host: str, port: int) -> Iterator[None]:
    """Answer health, readiness and metrics beside the block. Raises ConfigurationError like ``serve``."""
    config = uvicorn.Config(
        create_monitor(runtime),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )
    listening, server = _listen(host, port), uvicorn.Server(config)
    # In a thread of its own it leaves the process's signals alone.
    thread = threading.Thread(target=server.run, args=([listening],), name="monitor", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(GRACEFUL_SECONDS)


def _collect_garbage_seldom() -> None:
    """Leave what start-up made out of every later collection, and collect by the ten thousand.

    A batch of job files makes thousands of short-lived objects: by the interpreter's own thresholds each would walk all
    modules' objects several times.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS, 20, 50)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as fault:
        raise ConfigurationError(
            f"{host}:{port} cannot be listened on ({fault.strerror or fault}): choose other --port, --host or --metrics-address",
            f"{host}:{port}을(를) 쓸 수 없습니다({fault.strerror or fault}). --port, --host 또는 --metrics-address를 바꾸십시오",
        ) from fault


@contextmanager
def scheduling(runtime: Runtime) -> Iterator[None]:
    """Run the scheduling loop beside the block."""
    loop = SchedulerLoop(runtime)
    thread = threading.Thread(target=loop.run, name="scheduler", daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.stop()
        thread.join(GRACEFUL_SECONDS)


def _one_line(event: object, **_: object) -> str:
    """An event as JSON. What JSON has no word for is written as Python would."""
    try:
        return orjson.dumps(event, default=repr).decode()
    except TypeError:  # numbers beyond 64 bits, half characters: the slow writer takes them
        return json.dumps(event, default=repr)


def log_as_json(level: int = logging.INFO) -> None:
    """Write structured logs to standard error, one JSON object a line; what libraries warn of, too."""
    lines = cast(TextIO, LogLines(sys.stderr))
    named: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    as_json = structlog.processors.JSONRenderer(serializer=_one_line)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, *named, as_json],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=lines),
        cache_logger_on_first_use=True,
    )
    libraries = logging.StreamHandler(lines)
    processors: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, as_json]
    before: list[Processor] = [structlog.stdlib.add_logger_name, *named]
    libraries.setFormatter(structlog.stdlib.ProcessorFormatter(processors=processors, foreign_pre_chain=before))
    logging.basicConfig(level=logging.WARNING, handlers=[libraries])
