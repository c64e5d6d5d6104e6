"""The cluster over HTTP: its nodes and the Jobs API. Ray itself is never imported here."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

import httpx

from connectors.errors import EngineRefused, EngineUnavailable
from connectors.ray.settings import RaySettings
from scheduler.model.wire import NodeReport

MIB = 1 << 20
#: Refusals of a client that may pass: it took too long, it asks too often.
_PASSING = frozenset({408, 425, 429})
_WORD = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,252}$")


class JobStatus(StrEnum):
    """What Ray says of a submitted job; ``MISSING`` where it knows none."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    STOPPED = "STOPPED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    MISSING = "MISSING"

    @property
    def is_over(self) -> bool:
        """Whether the driver runs no more."""
        return self not in (JobStatus.PENDING, JobStatus.RUNNING)


class Cluster:
    """One cluster's dashboard. Raises ``EngineUnavailable`` while it does not answer."""

    def __init__(self, settings: RaySettings) -> None:
        self._settings = settings
        self._http = httpx.Client(base_url=settings.dashboard_url, timeout=settings.timeout_seconds)

    def nodes(self) -> tuple[NodeReport, ...]:
        """Every node that the cluster knows, dead ones as not healthy, by name; the name is the node's address."""
        answer = self._ask("GET", "/api/v0/nodes", params={"detail": "True"})
        found: dict[str, NodeReport] = {}
        try:
            rows: list[dict[str, Any]] = answer.json()["data"]["result"]["result"]
            for row in rows:
                report = self._node(row)
                known = found.get(report.name)
                # A node that came back is listed with its dead earlier self.
                if known is None or report.healthy or not known.healthy:
                    found[report.name] = report
        except (ValueError, LookupError, TypeError, AttributeError) as fault:
            raise EngineUnavailable(f"the cluster's list of nodes cannot be read: {fault}") from fault
        return tuple(found[name] for name in sorted(found))

    def submit(self, submission_id: str, entrypoint: str, environment: dict[str, str]) -> None:
        """Start a driver; nothing happens where the submission is known already. Raises EngineRefused where asking again
        will not help.
        """
        body = {
            "entrypoint": entrypoint,
            "submission_id": submission_id,
            "runtime_env": {"env_vars": environment},
            "metadata": {"dure": "run"},
        }
        answer = self._send("POST", "/api/jobs/", json=body)
        if answer.status_code < 400 or "already exists" in answer.text:
            return
        fault = f"Ray did not take {submission_id}: {answer.status_code} {answer.text[-300:]}"
        if answer.status_code < 500 and answer.status_code not in _PASSING:
            raise EngineRefused(fault)
        raise EngineUnavailable(fault)

    def status(self, submission_id: str) -> tuple[JobStatus, str]:
        """A submission's status and Ray's own words about it."""
        answer = self._send("GET", f"/api/jobs/{submission_id}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return JobStatus.MISSING, "Ray does not know the job (any more)"
        if answer.status_code >= 400:
            raise EngineUnavailable(f"Ray does not tell of {submission_id}: {answer.status_code}")
        try:
            document = answer.json()
            return JobStatus(document["status"]), str(document.get("message") or "")
        except (ValueError, LookupError, TypeError, AttributeError) as fault:
            raise EngineUnavailable(f"what Ray tells of {submission_id} cannot be read: {fault}") from fault

    def forget(self, submission_id: str) -> bool:
        """Drop an ended submission; whether it is gone. One that is not over yet stays."""
        answer = self._send("DELETE", f"/api/jobs/{submission_id}")
        return answer.status_code < 400 or answer.status_code == httpx.codes.NOT_FOUND

    def close(self) -> None:
        """Let go of connections."""
        self._http.close()

    def _node(self, row: dict[str, Any]) -> NodeReport:
        labels, resources = row.get("labels") or {}, row.get("resources_total") or {}
        domain = tuple(part for part in str(labels.get("dure.io/domain", "")).split("/") if _WORD.match(part))
        return NodeReport(
            name=row["node_ip"],
            pool=labels.get("dure.io/pool", self._settings.pool),
            gpu_class=labels.get("dure.io/gpu-class", self._settings.gpu_class),
            gpus=int(resources.get("GPU", 0)),
            cpus=int(resources.get("CPU", 0)),
            memory_mib=int(resources.get("memory", 0)) // MIB,
            domain=domain[:3],
            healthy=row["state"] == "ALIVE",
        )

    def _ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        answer = self._send(method, path, **arguments)
        if answer.status_code >= 400:
            raise EngineUnavailable(f"the cluster answers {answer.status_code} to {path}")
        return answer

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **arguments)
        except httpx.TransportError as fault:
            raise EngineUnavailable(
                f"the cluster at {self._settings.dashboard_url} does not answer: {fault}"
            ) from fault
