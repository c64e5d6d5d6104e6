"""Job logs as rows: the CSV format of published traces, SWF and Dure's own job files with times, chosen by suffix."""

from __future__ import annotations

import csv
import gzip
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, takewhile
from pathlib import Path
from random import Random
from typing import TextIO

from scheduler.model.errors import ConfigurationError
from scheduler.model.shape import DataClass, Topology
from scheduler.simulator.terms import NO_TERMS, Terms


@dataclass(slots=True, kw_only=True)
class TraceRow:
    """One job of a log. Times are ms from the trace's start; None and "" mean "not known".

    ``gpus`` counts whole GPUs, 0 for a job that wants none; ``cpus`` and ``memory_mib`` are those of the whole job.
    ``resident``: 1 was running at the start (``duration_ms`` is what was left), 2 was queued then, 0 came later.
    One that ``checkpoints`` saves its state when it is told to stop. An elastic one may have up to ``workers_max`` workers; the
    rest of the row is of as few as it can have, and more of them do its work faster in proportion. A gang of ``workers`` is of
    so many and no others; what a log says of nodes alone is a hint.
    """

    job_id: str
    user: str
    group: str
    submit_ms: int
    duration_ms: int | None
    gpus: int
    gpu_types: tuple[str, ...] = ()
    gpus_per_node: int | None = None
    nodes: int | None = None
    cpus: int | None = None
    memory_mib: int | None = None
    walltime_ms: int | None = None
    state: str = ""
    qos: str = ""
    site: str = ""
    resident: int = 0
    preemptible: bool = True
    checkpoints: bool = True
    workers_max: int | None = None
    data_class: DataClass = DataClass.OPEN
    workers: int | None = None
    preferred: Topology = Topology.ANY
    required: Topology = Topology.ANY
    terms: Terms = NO_TERMS


class UnreadRows(ABC):
    """Rows by submission that nobody holds all at once. Each time that they are gone through they are the same."""

    @property
    @abstractmethod
    def groups(self) -> Sequence[str]:
        """Every group that has jobs."""

    @property
    @abstractmethod
    def over_ms(self) -> int:
        """All are submitted before."""

    @abstractmethod
    def __iter__(self) -> Iterator[TraceRow]:
        """All of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The part of a trace to replay, and how it is bent.

    ``from_ms <= submit < to_ms``, at most ``jobs_max`` jobs; gaps between arrivals are divided by ``load_factor`` and
    each multiplied by a number drawn from 1 ± ``jitter``.
    """

    from_ms: int = 0
    to_ms: int | None = None
    jobs_max: int | None = None
    load_factor: float = 1.0
    jitter: float = 0.0


def read_trace(path: Path) -> list[TraceRow]:
    """Read a log, sorted by submission. Raises ConfigurationError for a file that cannot be read as what it says it is."""
    from scheduler.simulator.native import read_native
    from scheduler.simulator.swf import read_swf

    name = path.name.removesuffix(".gz")
    readers = {".csv": _read_csv, ".swf": read_swf, ".jsonl": read_native}
    reader = readers.get(Path(name).suffix)
    if reader is None:
        raise ConfigurationError(
            f"{path}: a trace is a .csv, .swf or .jsonl file, or one of them as .gz",
            f"{path}: 작업 기록은 .csv, .swf, .jsonl 파일이거나 그것을 .gz로 압축한 파일입니다",
        )
    try:
        with _open(path) as lines:
            rows = list(reader(lines))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as unreadable:
        raise ConfigurationError(
            f"{path} cannot be read: {unreadable}", f"{path}을(를) 읽을 수 없습니다: {unreadable}"
        ) from unreadable
    except ConfigurationError as wrong:
        raise ConfigurationError(f"{path}: {wrong}", f"{path}: {wrong.korean}") from wrong
    except (KeyError, ValueError) as wrong:
        raise ConfigurationError(
            f"{path} is not a trace of its format: {wrong!r}", f"{path}은(는) 그 형식의 작업 기록이 아닙니다: {wrong!r}"
        ) from wrong
    rows.sort(key=lambda row: row.submit_ms)
    return rows


def cut(rows: Iterable[TraceRow], window: Window, seed: int) -> list[TraceRow]:
    """The rows of a window, of ``rows`` by submission, with bent arrivals. Times stay those of the trace's clock, counted on from
    ``from_ms``."""
    inside = takewhile(lambda row: window.to_ms is None or row.submit_ms < window.to_ms, rows)
    kept = list(islice((row for row in inside if window.from_ms <= row.submit_ms), window.jobs_max))
    if window.load_factor == 1.0 and window.jitter == 0.0:
        return kept
    dice = Random(seed)  # noqa: S311 - shakes an experiment, protects nothing
    bent: list[TraceRow] = []
    before_ms, at_ms = window.from_ms, float(window.from_ms)
    for row in kept:
        shaken = 1.0 + window.jitter * dice.uniform(-1.0, 1.0)
        at_ms += (row.submit_ms - before_ms) * shaken / window.load_factor
        before_ms = row.submit_ms
        bent.append(replace(row, submit_ms=round(at_ms)))
    return bent


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def milliseconds(text: str) -> int | None:
    """Seconds as written in a log, in ms; None for nothing."""
    return round(float(text) * 1000) if text else None


def _count(text: str) -> int | None:
    return int(float(text)) if text else None


def _ceiling(text: str, times: int = 1) -> int | None:
    return -int(-float(text) * times // 1) if text else None


def _read_csv(lines: TextIO) -> Iterator[TraceRow]:
    reader = csv.reader(lines)
    at = {name: index for index, name in enumerate(next(reader, []))}
    columns = (
        "job_id", "user", "group", "submit_s", "duration_s", "gpus", "gpu_type", "gpus_per_node", "nodes", "cpus",
        "mem_gb", "walltime_req_s", "state", "qos", "site", "resident",
    )  # fmt: skip
    for needed in ("job_id", "submit_s", "duration_s", "gpus"):
        if needed not in at:
            raise ValueError(f"the column {needed} is missing")
    indices = [at.get(name) for name in columns]
    for line in reader:
        (job_id, user, group, submit, duration, gpus, types, per_node, nodes, cpus, memory, walltime, state, qos, site,
         resident) = ["" if index is None else line[index] for index in indices]  # fmt: skip
        yield TraceRow(
            job_id=job_id,
            user=user,
            group=group,
            submit_ms=milliseconds(submit) or 0,
            duration_ms=milliseconds(duration),
            gpus=_count(gpus) or 0,
            gpu_types=tuple(types.split("|")) if types else (),
            gpus_per_node=_count(per_node),
            nodes=_count(nodes),
            cpus=_ceiling(cpus),
            memory_mib=_ceiling(memory, 1024),
            walltime_ms=milliseconds(walltime),
            state=state,
            qos=qos,
            site=site,
            resident=_count(resident) or 0,
        )
