"""``python -m scheduler.demo [--once]``: federation up, a real training job on a real Ray cluster, portal open."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

from scheduler.cli.client import Client
from scheduler.cli.failure import CommandFailure
from scheduler.cli.profile import Profile
from scheduler.demo.child import Child
from scheduler.demo.example_tree import GPU_CLASS, INSTITUTION, PROJECT, SITE, ExampleTokens, make_example
from scheduler.demo.ray_cluster import RayCluster
from scheduler.demo.screen import DemoFailure, Screen

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "digits" / "job.yaml"
DURE = (sys.executable, "-m", "scheduler.main")
ACCURACY_MIN = 0.9
GPUS = 16
PORT_PREFERRED = 8480


def free_port(preferred: int) -> int:
    """``preferred`` where nobody listens there, else one that the system gives."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DemoFailure("No port of 127.0.0.1 is free.", "Close programs that listen, and try again.")


class Demo:
    """One federation in a folder of its own; ``close`` leaves nothing running."""

    def __init__(self, screen: Screen, folder: Path) -> None:
        self._screen = screen
        self._folder = folder
        self._stack = ExitStack()
        self.server = f"http://127.0.0.1:{free_port(PORT_PREFERRED)}"
        self._database = f"sqlite:///{folder / 'dure.sqlite'}"

    def start(self) -> ExampleTokens:
        """Bring everything up; answer the example people's tokens."""
        with self._screen.step(f"federation at {self.server} (log: {self._folder / 'server.log'})"):
            administrator = Client(Profile(server=self.server, token=self._start_federation()))
        with self._screen.step("example tree: sectors, institutions, projects, quotas, people"):
            tokens = make_example(administrator)
        with self._screen.step("Ray cluster of two nodes with 8 declared GPUs each"):
            cluster = self._stack.enter_context(RayCluster(self._folder / "ray", nodes=2, gpus_per_node=8))
        with self._screen.step(f"agent of the site {SITE} (log: {self._folder / 'agent.log'})"):
            self._start_agent(cluster, tokens.enrolment, administrator)
        return tokens

    def close(self) -> None:
        """Stop everything, last started first."""
        self._stack.close()

    def _start_federation(self) -> str:
        made = subprocess.run(
            [*DURE, "administrator", "administrator", "--database", self._database],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise DemoFailure("The store could not be made.", made.stderr.strip())
        port = self.server.rsplit(":", 1)[1]
        command = [*DURE, "up", "--database", self._database, "--host", "127.0.0.1", "--port", port]
        up = Child("dure up", command, log=self._folder / "server.log", environment={})
        self._stack.callback(up.stop)
        up.wait_until(self._ready, seconds_max=30, what="The server")
        return made.stdout.strip().splitlines()[-1]

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.server}/readyz", timeout=2).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def _start_agent(self, cluster: RayCluster, enrolment: str, administrator: Client) -> None:
        agent = Child(
            "dure agent",
            [
                *(*DURE, "agent", "--connector", "ray", "--server", self.server, "--name", "demo-agent"),
                *("--state", str(self._folder / "agent"), "--ray-dashboard", cluster.dashboard_url),
                *("--gpu-class", GPU_CLASS),
            ],
            log=self._folder / "agent.log",
            environment={"DURE_ENROLMENT_TOKEN": enrolment},
        )
        self._stack.callback(agent.stop)

        def all_there() -> bool:
            site = administrator.get(f"sites/{SITE}")
            return bool(site["reachable"]) and sum(one["total"] for one in site["gpu_classes"]) == GPUS

        agent.wait_until(all_there, seconds_max=60, what="The site")


def train(screen: Screen, server: str, token: str) -> dict[str, Any]:
    """Submit the example job as the researcher, with the CLI, and follow it; answer the job as it ended."""
    screen.say(f"· dure submit {EXAMPLE.name} --follow, as the researcher")
    environment = {**os.environ, "DURE_SERVER": server, "DURE_TOKEN": token}
    done = subprocess.run([*DURE, "submit", str(EXAMPLE), "--follow"], env=environment, check=False)
    client = Client(Profile(server=server, token=token))
    job: dict[str, Any] = next(iter(client.pages("jobs", limit=1, mine="true")), {})
    if done.returncode or job.get("state") != "succeeded":
        raise DemoFailure(
            f"The job did not succeed (dure submit ended with {done.returncode}, state {job.get('state')}).",
            f"Its own log is above; `dure why {job.get('id')}` and the logs named above say more.",
        )
    return job


def verify(screen: Screen, server: str, token: str, manager: str, job: dict[str, Any]) -> None:
    """See that the job trained, that its log came back, and that its GPU-seconds are on the ledger."""
    client = Client(Profile(server=server, token=token))
    log = client.download(f"jobs/{job['id']}/log", rank=0).text
    accuracies = [float(found) for found in re.findall(r"accuracy[ =:]+([0-9.]+)", log)]
    if not accuracies or accuracies[-1] <= ACCURACY_MIN:
        raise DemoFailure(
            f"The log that came back tells no accuracy above {ACCURACY_MIN}: {accuracies[-1:]}.",
            f"Read it: dure logs {job['id']}",
        )
    usage = Client(Profile(server=server, token=manager)).get(f"groups/{INSTITUTION}/usage")
    gpu_seconds = sum(one["gpu_seconds"] for one in usage["items"])
    if gpu_seconds <= 0:
        raise DemoFailure("The ledger holds no GPU-seconds of the job.", f"See dure show {job['id']}.")
    screen.say(
        f"  trained to accuracy {accuracies[-1]:.3f}; {len(log.splitlines())} lines of log came back; "
        f"{gpu_seconds:.1f} GPU-seconds on the ledger"
    )


def tell_what_next(screen: Screen, server: str, tokens: ExampleTokens, job: dict[str, Any]) -> None:
    """What a user may try, as each of the four."""
    screen.say(f"""
Portal   {server}/sign-in#{tokens.researcher}

In another terminal:
  export DURE_SERVER={server} PATH={Path(sys.executable).parent}:$PATH
As the researcher     export DURE_TOKEN={tokens.researcher}
  dure queue --all · dure show {job["id"]} · dure logs {job["id"]} · dure pull {job["id"]} · dure gpus
  dure submit --group {PROJECT} --gpus 8 --follow -- sh -c 'echo hello from $RANK of $WORLD_SIZE'
As the manager        export DURE_TOKEN={tokens.manager}
  dure group list · dure quota show {INSTITUTION} · dure member list {INSTITUTION}
As the site's operator  export DURE_TOKEN={tokens.operator}
  dure site show {SITE} · dure site cordon {SITE} --why maintenance · dure site resume {SITE}

Ctrl-C ends the federation, the agent and the cluster.""")


def run(once: bool) -> int:
    """Run the demo; answer the exit code."""
    screen = Screen()
    interrupted = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: _interrupt(interrupted))
    folder = Path(tempfile.mkdtemp(prefix="dure-demo-"))
    demo = None
    try:
        demo = Demo(screen, folder)
        tokens = demo.start()
        job = train(screen, demo.server, tokens.researcher)
        verify(screen, demo.server, tokens.researcher, tokens.manager, job)
        screen.say(f"The federation walks, {screen.seconds():.0f} s after its start.")
        if not once:
            tell_what_next(screen, demo.server, tokens, job)
            interrupted.wait()
        failed = False
    except KeyboardInterrupt:
        failed = once
    except (DemoFailure, CommandFailure) as failure:
        failed = True
        screen.say(f"\nThe demo stopped: {failure}\n{getattr(failure, 'mend', '')}")
    finally:
        if demo is not None:
            screen.say("Stopping everything …")
            demo.close()
    if not failed:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


def _interrupt(interrupted: threading.Event) -> None:
    if interrupted.is_set():
        return
    interrupted.set()
    raise KeyboardInterrupt


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="stop by itself after the job")
    sys.exit(run(parser.parse_args().once))


if __name__ == "__main__":
    main()
