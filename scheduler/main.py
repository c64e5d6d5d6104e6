"""The ``dure`` program: the client's commands, and the processes of a federation. Imports late, so that help is quick."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scheduler.cli.app import app
from scheduler.cli.language import say
from scheduler.cli.options import CommandAfterDashes, Output, command, words_after_dashes
from scheduler.cli.output import Column, OutputFormat, field, show_duration, write_rows

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


def _seconds(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: show_duration(row.get(name))


def _rounded(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: "-" if row.get(name) is None else f"{row[name]:.3f}"


_SIMULATED = (
    Column(heading="SCHEDULER", value=field("scheduler")),
    Column(heading="JOBS", value=field("jobs")),
    Column(heading="COMPLETED", value=field("completed")),
    Column(heading="NEVER STARTED", value=field("not_started")),
    Column(heading="LEFT OUT", value=lambda row: str(sum(row["left_out"].values()))),
    Column(heading="MEAN TIME", value=_seconds("mean_jct_s")),
    Column(heading="P99 TIME", value=_seconds("p99_jct_s")),
    Column(heading="MEAN WAIT", value=_seconds("mean_wait_s")),
    Column(heading="P99 WAIT", value=_seconds("p99_wait_s")),
    Column(heading="SLOWDOWN", value=_rounded("bounded_slowdown_mean")),
    Column(heading="USED", value=_rounded("utilisation")),
    Column(heading="PREEMPTIONS", value=field("preemptions")),
    Column(heading="TIMES THE BOUND", value=_rounded("times_the_bound")),
    Column(heading="ROUNDS", value=field("rounds"), wide=True),
    Column(heading="TOOK", value=_seconds("wall_s"), wide=True),
)

_SWEPT = (
    Column(heading="POLICY", value=field("policy")),
    Column(heading="SEEDS", value=field("seeds")),
    Column(heading="MEAN TIME", value=_seconds("mean_jct_s")),
    Column(heading="LEAST", value=_seconds("mean_jct_s_min")),
    Column(heading="GREATEST", value=_seconds("mean_jct_s_max")),
    Column(heading="MEAN WAIT", value=_seconds("mean_wait_s")),
    Column(heading="USED", value=_rounded("utilisation")),
)


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
def scheduler(
    database: Database = DEFAULT_DATABASE,
    redis: Redis = None,
    metrics_address: Annotated[
        str | None, typer.Option("--metrics-address", help="HOST:PORT for /healthz, /readyz and /metrics; else none.")
    ] = None,
) -> None:
    """The scheduler alone: one leads, others stand by."""
    import signal
    from contextlib import ExitStack

    from scheduler.bootstrap import monitored, open_runtime
    from scheduler.service.loop import SchedulerLoop

    with _faults_told(), ExitStack() as stack:
        runtime = stack.enter_context(open_runtime(_wiring(database, redis)))
        if metrics_address is not None:
            stack.enter_context(monitored(runtime, *_host_and_port(metrics_address)))
        loop = SchedulerLoop(runtime)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: loop.stop())
        loop.run()


def _host_and_port(address: str) -> tuple[str, int]:
    from scheduler.model.errors import ConfigurationError

    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isdecimal() and 0 < int(port) < 65_536):
        raise ConfigurationError(f"{address!r} is no address: write HOST:PORT, such as 127.0.0.1:8481")
    return host.strip("[]"), int(port)


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

    from pydantic import TypeAdapter, ValidationError

    from scheduler.api.schemas import PersonName
    from scheduler.cli.failure import usage_failure

    try:
        TypeAdapter(PersonName).validate_python(name)
    except ValidationError as wrong:
        raise usage_failure(
            f"{name!r} is no name of a person: write at most 128 characters, no slash, no space at the front.",
            f"{name!r}은(는) 사용자 이름이 될 수 없습니다. 빗금과 앞 공백 없이 128자까지 쓰십시오.",
        ) from wrong
    from scheduler.bootstrap import first_administrator, open_runtime

    with _faults_told(), open_runtime(_wiring(database, None)) as runtime:
        sys.stdout.write(first_administrator(runtime, name) + "\n")


@app.command("simulate")
@command
def simulate(
    trace: Annotated[Path | None, typer.Option("--trace", help="Job log: .csv, .swf or .jsonl, or as .gz.")] = None,
    cluster: Annotated[Path | None, typer.Option("--cluster", help="Nodes and groups as JSON.")] = None,
    scenario: Annotated[str | None, typer.Option("--scenario", help="Made-up nation instead: korea.")] = None,
    scale: Annotated[float, typer.Option("--scale", min=0.0, help="Part of the scenario's nodes.")] = 0.01,
    days: Annotated[float, typer.Option("--days", min=0.0, help="Length of the scenario.")] = 7.0,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="Groups, quotas, offers, order: YAML or JSON.")
    ] = None,
    from_seconds: Annotated[float, typer.Option("--from", min=0.0, help="First second of the trace.")] = 0.0,
    to_seconds: Annotated[float | None, typer.Option("--to", min=0.0, help="End of submissions, in seconds.")] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, help="No more jobs than this.")] = None,
    load_factor: Annotated[float, typer.Option("--load-factor", min=1e-6, help="Submissions this much denser.")] = 1.0,
    jitter: Annotated[float, typer.Option("--jitter", min=0.0, max=1.0, help="Shake gaps by 1 ± this.")] = 0.0,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same result.")] = 0,
    compare: Annotated[str, typer.Option("--compare", help="Baselines beside it: fifo,easy,conservative,sjf.")] = "",
    json: Annotated[Path | None, typer.Option("--json", help="Write every figure here.")] = None,
    decisions: Annotated[Path | None, typer.Option("--decisions", help="Write every run segment here, as CSV.")] = None,
    report: Annotated[Path | None, typer.Option("--report", help="Write a page with plots here, as HTML.")] = None,
    bound: Annotated[bool, typer.Option(help="Work out what no schedule could beat; may take long.")] = True,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Replay a job log with the scheduler that production runs. Needs no server."""
    import sys

    from scheduler.simulator import command as simulator
    from scheduler.simulator.bound import sentence
    from scheduler.simulator.scenario import Scale
    from scheduler.simulator.trace import Window

    window = Window(
        from_ms=round(from_seconds * 1000),
        to_ms=None if to_seconds is None else round(to_seconds * 1000),
        jobs_max=jobs,
        load_factor=load_factor,
        jitter=jitter,
    )
    options = simulator.Options(
        trace=trace,
        cluster=cluster,
        scenario=scenario,
        scale=Scale(nodes=scale, days=days),
        policy=policy,
        window=window,
        seed=seed,
        compare=tuple(name for name in compare.split(",") if name),
        json=json,
        decisions=decisions,
        report=report,
        bound=bound,
    )
    with _faults_told():
        results = simulator.run(options)
    rows = [{"scheduler": each.name, **each.measured.document} for each in results]
    write_rows(rows, _SIMULATED, output, "scheduler", simulator.document(results, options))
    told = [sentence(each.name, each.measured.document) for each in results]
    if output in (OutputFormat.TABLE, OutputFormat.WIDE):
        sys.stdout.writelines(f"{say(*each)}\n" for each in told if each is not None)


@app.command("sweep", cls=CommandAfterDashes)
@command
def sweep(
    context: typer.Context,
    policies: Annotated[list[Path] | None, typer.Option("--policy", help="A policy file; may be repeated.")] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Seeds 0 to this, less one.")] = 1,
    ray: Annotated[str | None, typer.Option("--ray", help="Address of a Ray dashboard; else this machine.")] = None,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Many simulations in parallel: every policy with every seed. What stands after -- goes to each 'dure simulate'."""
    from scheduler.simulator.sweep import run_here, run_on_ray, summary, tasks

    todo = tasks(policies or [], range(seeds), words_after_dashes(context))
    with _faults_told():
        documents = run_here(todo) if ray is None else run_on_ray(todo, ray)
    rows = summary(todo, documents)
    write_rows(rows, _SWEPT, output, "policy")


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
        state = state.absolute()  # processes of runs stand in folders of their own
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
    except (ConnectorError, OSError, UnicodeError) as fault:
        korean = fault.korean if isinstance(fault, ConnectorError) else str(fault)
        raise CommandFailure(
            EXIT_USAGE, say(f"The agent cannot run: {fault}", f"에이전트를 실행할 수 없습니다: {korean}")
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
            raise SettingsUnusable(
                "--ray-dashboard is the dashboard's address, e.g. http://10.0.0.1:8265",
                "--ray-dashboard에는 대시보드의 주소를 쓰십시오. 예: http://10.0.0.1:8265",
            )
        settings = RaySettings(
            dashboard_url=ray_dashboard.rstrip("/"), state_directory=folder, gpu_class=gpu_class, listen_host=listen
        )
        return RayConnector(settings, SystemClock())
    raise SettingsUnusable(
        f"--connector {connector} is not known: choose ray or local",
        f"--connector {connector}: ray나 local을 쓰십시오",
    )


@contextmanager
def _faults_told() -> Iterator[None]:
    """Turn what an operator can mend into a message and an exit code."""
    from scheduler.cli.failure import EXIT_TIMEOUT, EXIT_USAGE, CommandFailure
    from scheduler.model.errors import ConfigurationError, StoreUnavailable

    try:
        yield
    except ConfigurationError as fault:
        raise CommandFailure(EXIT_USAGE, say(str(fault), f"설정을 사용할 수 없습니다: {fault.korean}")) from fault
    except StoreUnavailable as fault:
        raise CommandFailure(EXIT_TIMEOUT, say(str(fault), f"저장소를 사용할 수 없습니다: {fault}")) from fault


def run() -> None:
    """Run the program."""
    app()


if __name__ == "__main__":
    run()
