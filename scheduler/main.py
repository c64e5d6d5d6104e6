"""The ``dure`` program: the client's commands, and the processes of a federation. Imports late, so that help is quick."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.app import app
from scheduler.cli.language import say
from scheduler.cli.options import command

if TYPE_CHECKING:
    from connectors.protocol import Connector
    from scheduler.bootstrap import Wiring

DEFAULT_DATABASE = "sqlite:///dure.sqlite"
PROCESSES = "Processes of a federation"

Database = Annotated[str, typer.Option("--database", envvar="DURE_DATABASE", help="sqlite:///FILE or postgresql://….")]
Redis = Annotated[
    str | None, typer.Option("--redis", envvar="DURE_REDIS", help="redis://…: wake-ups between processes.")
]
Host = Annotated[str, typer.Option("--host", help="Address to listen on.")]
Port = Annotated[int, typer.Option("--port", min=1, max=65_535, help="Port to listen on.")]


def _wiring(database: str, redis: str | None) -> Wiring:
    from scheduler.bootstrap import Wiring, log_as_json, settings_from_environment
    from scheduler.service.settings import Settings

    log_as_json()
    return Wiring(database_url=database, redis_url=redis, settings=settings_from_environment(Settings()))


@app.command("up", rich_help_panel=PROCESSES)
@command
def up(database: Database = DEFAULT_DATABASE, redis: Redis = None, host: Host = "127.0.0.1", port: Port = 8480) -> None:
    """Server and scheduler in one process; no other service is needed."""
    from scheduler.bootstrap import open_runtime, scheduling, serve

    with _faults_told(), open_runtime(_wiring(database, redis)) as runtime, scheduling(runtime):
        serve(runtime, host, port)


@app.command("server", rich_help_panel=PROCESSES)
@command
def server(
    database: Database = DEFAULT_DATABASE, redis: Redis = None, host: Host = "127.0.0.1", port: Port = 8480
) -> None:
    """The HTTP server alone; any number of them."""
    from scheduler.bootstrap import open_runtime, serve

    with _faults_told(), open_runtime(_wiring(database, redis)) as runtime:
        serve(runtime, host, port)


@app.command("scheduler", rich_help_panel=PROCESSES)
@command
def scheduler(database: Database = DEFAULT_DATABASE, redis: Redis = None) -> None:
    """The scheduler alone: one leads, others stand by."""
    import signal

    from scheduler.bootstrap import open_runtime
    from scheduler.service.loop import SchedulerLoop

    with _faults_told(), open_runtime(_wiring(database, redis)) as runtime:
        loop = SchedulerLoop(runtime)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: loop.stop())
        loop.run()


@app.command("migrate", rich_help_panel=PROCESSES)
@command
def migrate(database: Database = DEFAULT_DATABASE) -> None:
    """Bring the schema of a database up to date; every process does so when it starts."""
    from scheduler.bootstrap import open_runtime

    with _faults_told(), open_runtime(_wiring(database, None)):
        pass


@app.command("administrator", rich_help_panel=PROCESSES)
@command
def administrator(
    name: Annotated[str, typer.Argument(help="Name of the person.")], database: Database = DEFAULT_DATABASE
) -> None:
    """Make an administrator, with direct access to the database. Prints a token, this once."""
    import sys

    from scheduler.bootstrap import first_administrator, open_runtime

    with _faults_told(), open_runtime(_wiring(database, None)) as runtime:
        sys.stdout.write(first_administrator(runtime, name) + "\n")


@app.command("agent", rich_help_panel=PROCESSES)
@command
def agent(
    server: Annotated[str, typer.Option("--server", envvar="DURE_SERVER", help="Address of the federation.")],
    connector: Annotated[str, typer.Option("--connector", help="ray or local.")],
    state: Annotated[Path, typer.Option("--state", help="Folder for the agent's own files.")] = Path("dure-agent"),
    name: Annotated[str | None, typer.Option("--name", help="Name of this agent; the host's by default.")] = None,
    enrolment_token_file: Annotated[
        Path | None, typer.Option("--enrolment-token-file", help="Else DURE_ENROLMENT_TOKEN; needed once.")
    ] = None,
    nodes: Annotated[
        list[str] | None, typer.Option("--nodes", help="local: COUNTxGPUS:CLASS, e.g. 4x8:h100; may be repeated.")
    ] = None,
    nodes_file: Annotated[Path | None, typer.Option("--nodes-file", help="local: the same as TOML.")] = None,
    ray_dashboard: Annotated[str, typer.Option("--ray-dashboard", help="ray: the dashboard's address.")] = "",
    gpu_class: Annotated[str, typer.Option("--gpu-class", help="ray: class of nodes that do not say theirs.")] = "h100",
    listen: Annotated[str, typer.Option("--listen", help="ray: address for the site's own gangs.")] = "127.0.0.1",
) -> None:
    """A site's agent: enrols once, then takes leases and reports what it observes."""
    import signal

    import structlog

    from connectors.agent.agent import Agent
    from connectors.agent.reach import why_in_reach
    from connectors.agent.settings import AgentSettings, default_name
    from connectors.agent.state import StateDirectory
    from connectors.agent.transport import HttpTransport
    from connectors.clock import SystemClock
    from connectors.errors import ConnectorError
    from scheduler.bootstrap import log_as_json
    from scheduler.cli.failure import EXIT_USAGE, CommandFailure

    log_as_json()
    token = os.environ.pop("DURE_ENROLMENT_TOKEN", None)  # taken out, so that no job ever inherits it
    try:
        if enrolment_token_file is not None:
            token = enrolment_token_file.read_text(encoding="utf-8").strip()
        clock = SystemClock()
        # The lock comes before the engine, which goes on with the runs of its folder as soon as it is made.
        folder = StateDirectory(state)
        engine = _engine(connector, state, nodes or [], nodes_file, ray_dashboard, gpu_class, listen)
        if (why := why_in_reach(connector)) is not None:
            structlog.get_logger("connectors.agent").warning("jobs can read this agent's credential", why=why)
        settings = AgentSettings(
            server=server.rstrip("/"), state_directory=state, name=name or default_name(), enrolment_token=token
        )
        running = Agent(settings, engine, HttpTransport(settings.server), clock, state=folder)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: running.stop())
        try:
            running.run()
        finally:
            engine.close()
    except (ConnectorError, OSError) as fault:
        raise CommandFailure(
            EXIT_USAGE, say(f"The agent cannot run: {fault}", f"에이전트를 실행할 수 없습니다: {fault}")
        ) from fault


def _engine(
    connector: str,
    state: Path,
    nodes: list[str],
    nodes_file: Path | None,
    ray_dashboard: str,
    gpu_class: str,
    listen: str,
) -> Connector:
    from connectors.clock import SystemClock
    from connectors.errors import SettingsUnusable

    folder = state / "site"
    if connector == "local":
        from connectors.local.connector import LocalConnector
        from connectors.local.nodes import declare_all

        return LocalConnector(folder, declare_all(nodes, nodes_file), SystemClock())
    if connector == "ray":
        from connectors.ray.connector import RayConnector
        from connectors.ray.settings import RaySettings

        if not ray_dashboard.startswith(("http://", "https://")):
            raise SettingsUnusable("--ray-dashboard is the dashboard's address, e.g. http://10.0.0.1:8265")
        settings = RaySettings(
            dashboard_url=ray_dashboard.rstrip("/"), state_directory=folder, gpu_class=gpu_class, listen_host=listen
        )
        return RayConnector(settings, SystemClock())
    raise SettingsUnusable(f"--connector {connector} is not known: choose ray or local")


@contextmanager
def _faults_told() -> Iterator[None]:
    """Turn what an operator can mend into a message and an exit code."""
    from scheduler.cli.failure import EXIT_TIMEOUT, EXIT_USAGE, CommandFailure
    from scheduler.model.errors import ConfigurationError, StoreUnavailable

    try:
        yield
    except ConfigurationError as fault:
        raise CommandFailure(EXIT_USAGE, say(str(fault), f"설정을 사용할 수 없습니다: {fault}")) from fault
    except StoreUnavailable as fault:
        raise CommandFailure(EXIT_TIMEOUT, say(str(fault), f"저장소를 사용할 수 없습니다: {fault}")) from fault


def run() -> None:
    """Run the program."""
    app()


if __name__ == "__main__":
    run()
