"""One-GPU jobs from submission to ledger, through real agent syncs: ``jobs_per_second`` end to end.

``python -m benchmarks.dispatch --jobs 20000 --database sqlite|postgresql``: an instant ``local`` site of 4,000 nodes x
8 GPUs; server and scheduler are one ``dure up``, the agent runs in this process.
"""

from __future__ import annotations

import argparse
import json
import threading
import time

import httpx
from sqlalchemy import create_engine, text

from benchmarks.federation import Federation, running_federation
from connectors.agent.agent import Agent
from connectors.agent.settings import AgentSettings
from connectors.agent.transport import HttpTransport
from connectors.clock import SystemClock
from connectors.local.nodes import declare_all
from connectors.local.simulated import SimulatedConnector

GPU_CLASS = "h100"
GROUP = "research.laboratory"
BATCH_JOBS = 1000
SECONDS_MAX = 600.0


class Site:
    """The agent of an instant site, in threads of this process."""

    def __init__(self, federation: Federation, enrolment_token: str, nodes: int) -> None:
        clock = SystemClock()
        connector = SimulatedConnector(declare_all([f"{nodes}x8:{GPU_CLASS}"], None), clock)
        settings = AgentSettings(
            server=federation.server,
            state_directory=federation.folder / "agent",
            name="benchmark",
            enrolment_token=enrolment_token,
        )
        self._agent = Agent(settings, connector, HttpTransport(federation.server), clock)
        self._thread = threading.Thread(target=self._agent.run)
        self._thread.start()

    def stop(self) -> None:
        """End the agent."""
        self._agent.stop()
        self._thread.join()


def prepare(client: httpx.Client) -> str:
    """Groups and a site; answer the agent's one-time token."""

    def post(path: str, body: dict[str, object]) -> httpx.Response:
        answer = client.post(path, json=body, headers={"Idempotency-Key": f"{path}-{body['name']}"})
        answer.raise_for_status()
        return answer

    post("groups", {"parent": "federation", "name": "research", "sector": "research"})
    post("groups", {"parent": "research", "name": "laboratory"})
    site = {"name": "site-1", "owner": "o", "operator": "o", "facility": "f", "isolates_users": True}
    return str(post("sites", site).json()["enrolment_token"])


def submit(client: httpx.Client, jobs: int) -> None:
    """Submit ``jobs`` one-GPU jobs in batches."""
    for first in range(0, jobs, BATCH_JOBS):
        batch = [
            {"name": f"job-{number}", "group": GROUP, "gpu_classes": [GPU_CLASS], "command": ["true"]}
            for number in range(first, min(jobs, first + BATCH_JOBS))
        ]
        answer = client.post("jobs/batch", json={"jobs": batch}, headers={"Idempotency-Key": f"batch-{first}"})
        answer.raise_for_status()
        refused = [item for item in answer.json()["items"] if item["status"] != 201]
        if refused:
            raise RuntimeError(f"a job was refused: {refused[0]}")


def wait_until_charged(federation: Federation, jobs: int) -> None:
    """Wait until every job has succeeded and has its two ledger entries, read from the store itself."""
    engine = create_engine(federation.database_url)
    statement = text("SELECT (SELECT count(*) FROM jobs WHERE state = 'succeeded'), (SELECT count(*) FROM ledger)")
    until = time.monotonic() + SECONDS_MAX
    while time.monotonic() < until:
        with engine.connect() as connection:
            ended, entries = connection.execute(statement).one()
        if ended == jobs and entries == 2 * jobs:
            engine.dispose()
            return
        time.sleep(0.2)
    raise RuntimeError(f"only {ended} of {jobs} jobs ended, {entries} ledger entries, after {SECONDS_MAX} s")


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--nodes", type=int, default=4_000)
    options = parser.parse_args()
    with running_federation(options.database, "up") as federation:
        client = httpx.Client(
            base_url=f"{federation.server}/api/v1/",
            headers={"Authorization": f"Bearer {federation.token}"},
            timeout=120,
        )
        site = Site(federation, prepare(client), options.nodes)
        while client.get("sites/site-1").json()["nodes"] < options.nodes:
            time.sleep(0.1)
        began = time.perf_counter()
        submit(client, options.jobs)
        submitted = time.perf_counter()
        wait_until_charged(federation, options.jobs)
        ended = time.perf_counter()
        site.stop()
    measured = {
        "jobs_per_second": round(options.jobs / (ended - began), 1),
        "seconds": round(ended - began, 2),
        "seconds_submitting": round(submitted - began, 2),
    }
    print(json.dumps({"benchmark": "dispatch", **vars(options), **measured}))


if __name__ == "__main__":
    main()
