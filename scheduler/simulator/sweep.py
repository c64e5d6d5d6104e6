"""Many simulations, over policies and seeds, in parallel on a Ray cluster or on this machine.

On Ray each one is a job of ``POST /api/jobs/`` that runs ``dure simulate`` on one CPU: so a sweep runs on any cluster that
the operator has, of any version, and Dure itself goes on importing nothing of Ray. The cluster's nodes have to see Dure
and the named files under the same paths.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from scheduler.model.errors import ConfigurationError

POLL_SECONDS = 1.0
LOG_CHARACTERS_SHOWN = 1000
_FAILED = ("FAILED", "STOPPED")
_KOREAN = {"FAILED": "실패했습니다", "STOPPED": "중단되었습니다"}

#: Figures that a sweep sums up.
FIGURES = ("mean_jct_s", "p99_jct_s", "mean_wait_s", "bounded_slowdown_mean", "utilisation", "preemptions")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One simulation: ``dure simulate`` with a policy (None: the default one), a seed and the sweep's own arguments."""

    policy: Path | None
    seed: int
    arguments: tuple[str, ...]

    def command(self) -> list[str]:
        """What to run; it prints one JSON document."""
        policy = () if self.policy is None else ("--policy", str(self.policy.resolve()))
        simulate = (sys.executable, "-m", "scheduler.main", "simulate", "-o", "json")
        return [*simulate, *policy, "--seed", str(self.seed), *self.arguments]


def tasks(policies: Sequence[Path], seeds: Sequence[int], arguments: Sequence[str]) -> list[Task]:
    """Every policy with every seed."""
    named: Sequence[Path | None] = policies or (None,)
    return [Task(policy=policy, seed=seed, arguments=tuple(arguments)) for policy in named for seed in seeds]


def run_here(todo: Sequence[Task], processes: int | None = None) -> list[dict[str, Any]]:
    """Run tasks as processes of this machine, as many at once as it has processors; answer their documents in order."""
    with ThreadPoolExecutor(processes or os.cpu_count()) as pool:
        return list(pool.map(_run_here, todo))


def _run_here(task: Task) -> dict[str, Any]:
    done = subprocess.run(task.command(), capture_output=True, text=True, check=False)
    if done.returncode:
        log = done.stderr[-LOG_CHARACTERS_SHOWN:]
        raise ConfigurationError(
            f"{_name(task)} ended with {done.returncode}: {log}",
            f"{_name_ko(task)}이 {done.returncode}로 끝났습니다: {log}",
        )
    return document_in(done.stdout)


def run_on_ray(todo: Sequence[Task], dashboard_url: str) -> list[dict[str, Any]]:
    """Run tasks as jobs of a Ray cluster; answer their documents in order.

    Raises ConfigurationError where the cluster does not answer or a task fails; the others are then stopped.
    """
    waiting: dict[str, int] = {}
    found: list[dict[str, Any]] = [{}] * len(todo)
    with httpx.Client(base_url=dashboard_url.rstrip("/"), timeout=30.0) as ray:
        try:
            for number, task in enumerate(todo):
                name = f"dure-sweep-{uuid4().hex[:12]}"
                body = {"entrypoint": shlex.join(task.command()), "submission_id": name, "entrypoint_num_cpus": 1}
                ray.post("/api/jobs/", json=body).raise_for_status()
                waiting[name] = number
            while waiting:
                for name, document in list(_ended(ray, waiting, todo)):
                    found[waiting.pop(name)] = document
                if waiting:
                    time.sleep(POLL_SECONDS)
        except httpx.HTTPError as fault:
            raise ConfigurationError(
                f"--ray {dashboard_url} does not do what it should: {fault}",
                f"--ray {dashboard_url}이(가) 제대로 답하지 않습니다: {fault}",
            ) from fault
        finally:
            for name in waiting:
                _stop(ray, name)
    return found


def _ended(ray: httpx.Client, waiting: dict[str, int], todo: Sequence[Task]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, number in waiting.items():
        status = ray.get(f"/api/jobs/{name}").raise_for_status().json()["status"]
        if status not in ("SUCCEEDED", *_FAILED):
            continue
        log = ray.get(f"/api/jobs/{name}/logs").raise_for_status().json()["logs"]
        if status in _FAILED:
            shown = log[-LOG_CHARACTERS_SHOWN:]
            raise ConfigurationError(
                f"{_name(todo[number])} {status.lower()}: {shown}",
                f"{_name_ko(todo[number])}이 {_KOREAN[status]}: {shown}",
            )
        yield name, document_in(log)


def _stop(ray: httpx.Client, name: str) -> None:
    try:
        ray.post(f"/api/jobs/{name}/stop")
    except httpx.HTTPError:
        return  # what made the sweep end is told, not this


def document_in(log: str) -> dict[str, Any]:
    """The JSON document at the end of what a task printed."""
    lines = log.splitlines()
    if "{" not in lines:
        shown = log[-LOG_CHARACTERS_SHOWN:]
        raise ConfigurationError(f"a task printed no figures: {shown}", f"시뮬레이션이 결과를 내지 않았습니다: {shown}")
    document, _ = json.JSONDecoder().raw_decode("\n".join(lines[lines.index("{") :]))
    return dict(document)


def summary(todo: Sequence[Task], documents: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a policy: how many seeds, and mean, least and greatest of every figure over them."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for task, document in zip(todo, documents, strict=True):
        rows.setdefault("default" if task.policy is None else task.policy.name, []).append(document)
    return [{"policy": name, "seeds": len(each)} | _spread(each) for name, each in rows.items()]


def _spread(documents: Sequence[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for figure in FIGURES:
        values = [each[figure] for each in documents if each[figure] is not None]
        if values:
            found[figure] = sum(values) / len(values)
            found[f"{figure}_min"], found[f"{figure}_max"] = min(values), max(values)
    return found


def _name(task: Task) -> str:
    return f"the simulation with policy {task.policy or 'default'} and seed {task.seed}"


def _name_ko(task: Task) -> str:
    return f"정책 {task.policy or '기본'}, 시드 {task.seed}의 시뮬레이션"
