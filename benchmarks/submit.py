"""Durable submissions a second over HTTP: validated, authorised, committed, the client included.

``python -m benchmarks.submit --database sqlite|postgresql --mode single|batch [--connections N] [--seconds S]``
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import threading
import time
from itertools import count

import httpx

from benchmarks.connection import Connection
from benchmarks.federation import HOST, Federation, running_federation
from connectors.agent.agent import Agent
from connectors.agent.settings import AgentSettings
from connectors.agent.transport import HttpTransport
from connectors.clock import SystemClock
from connectors.local.nodes import declare_all
from connectors.local.simulated import SimulatedConnector

BATCH_JOBS = 1000
GPU_CLASS = "h100"


def job_document(number: int) -> dict[str, object]:
    """A job like those that researchers send: small, of one of eight shapes."""
    return {
        "name": f"train-{number}",
        "group": "research.laboratory",
        "workers": 1 + number % 8,
        "gpus_per_worker": 8,
        "gpu_classes": [GPU_CLASS],
        "cpus_per_worker": 16,
        "memory_per_worker": "64GiB",
        "walltime": "8h",
        "environment": {"SEED": str(number)},
        "command": ["python", "train.py", "--epochs", "10"],
    }


def prepare(federation: Federation) -> None:
    """Groups to submit into, and a site that could hold the jobs."""
    client = httpx.Client(
        base_url=f"{federation.server}/api/v1/", headers={"Authorization": f"Bearer {federation.token}"}
    )
    for key, (path, body) in enumerate(
        (
            ("groups", {"parent": "federation", "name": "research", "sector": "research"}),
            ("groups", {"parent": "research", "name": "laboratory"}),
        )
    ):
        client.post(path, json=body, headers={"Idempotency-Key": f"prepare-{key}"}).raise_for_status()
    site = {"name": "site-1", "owner": "o", "operator": "o", "facility": "f", "isolates_users": True}
    made = client.post("sites", json=site, headers={"Idempotency-Key": "site"})
    made.raise_for_status()
    enrol_silent_site(federation, made.json()["enrolment_token"])


def enrol_silent_site(federation: Federation, enrolment_token: str) -> None:
    """Have an agent report 64 nodes once and go: the site's capacity is known, and nothing starts there."""
    clock = SystemClock()
    connector = SimulatedConnector(declare_all([f"64x8:{GPU_CLASS}"], None), clock)
    settings = AgentSettings(
        server=federation.server,
        state_directory=federation.folder / "agent",
        name="benchmark",
        enrolment_token=enrolment_token,
        wait_seconds_max=0.5,
    )
    agent = Agent(settings, connector, HttpTransport(federation.server), clock)
    thread = threading.Thread(target=agent.run)
    thread.start()
    client = httpx.Client(headers={"Authorization": f"Bearer {federation.token}"})
    while client.get(f"{federation.server}/api/v1/sites/site-1").json()["nodes"] < 64:
        time.sleep(0.05)
    agent.stop()
    thread.join()


async def drive(federation: Federation, mode: str, connections: int, seconds: float) -> dict[str, float]:
    """Submit from ``connections`` connections for ``seconds``; answer rate and times."""
    numbers = count()
    durations: list[float] = []
    jobs_a_request = BATCH_JOBS if mode == "batch" else 1
    path = "/api/v1/jobs/batch" if mode == "batch" else "/api/v1/jobs"
    began = time.perf_counter()
    until = began + seconds

    async def one() -> None:
        connection = await Connection.open(HOST, federation.port)
        while time.perf_counter() < until:
            if mode == "batch":
                document: object = {"jobs": [job_document(next(numbers)) for _ in range(BATCH_JOBS)]}
            else:
                document = job_document(next(numbers))
            body = json.dumps(document).encode()
            headers = {
                "Authorization": f"Bearer {federation.token}",
                "Idempotency-Key": f"{os.getpid()}-{next(numbers)}",
            }
            sent = time.perf_counter()
            status, answer = await connection.ask("POST", path, body, headers)
            durations.append(time.perf_counter() - sent)
            if status not in (200, 201):
                raise RuntimeError(f"{status}: {answer[:500]!r}")
            if mode == "batch" and answer.count(b'"status":201') != BATCH_JOBS:
                raise RuntimeError(f"not every job of a batch was taken: {answer[:500]!r}")
        await connection.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    took = time.perf_counter() - began
    durations.sort()
    return {
        "submissions_per_second": round(len(durations) * jobs_a_request / took, 1),
        "seconds_p50": round(durations[len(durations) // 2], 5),
        "seconds_p99": round(durations[min(len(durations) - 1, len(durations) * 99 // 100)], 5),
        "submissions": len(durations) * jobs_a_request,
    }


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--mode", choices=("single", "batch"), default="single")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    with running_federation(options.database, "server") as federation:
        prepare(federation)
        asyncio.run(drive(federation, options.mode, options.connections, min(2.0, options.seconds)))
        measured = asyncio.run(drive(federation, options.mode, options.connections, options.seconds))
    print(json.dumps({"benchmark": "submit", **vars(options), **measured}))


if __name__ == "__main__":
    main()
