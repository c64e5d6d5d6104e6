"""What a local site remembers of one run, in one JSON file of the run's own folder."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from connectors.agent.durable import flush_folder, read_json, write_durably
from connectors.errors import StateUnusable
from connectors.protocol import Lease
from scheduler.model.wire import RunOrder, RunReport, StopOrder

RECORD = "run.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run. ``order`` is None for a run that was stopped before it came. ``boot_id`` says of which start of the
    machine the record's CLOCK_BOOTTIME times are; "" where an earlier version wrote it.

    ``launched`` says that every worker's supervisor had been started; ``gpu_indices`` are by rank; ``port``
    is the gang's rendezvous; ``stop_over_ns`` is until when a run that is being stopped is renewed;
    ``node_lost`` names a node whose loss took part of the gang; ``report`` is set at the end.
    """

    run_id: int
    order: RunOrder | None
    lease: Lease
    boot_id: str = ""
    archive: str | None = None
    gpu_indices: dict[int, tuple[int, ...]]
    port: int = 0
    launched: bool = False
    stop: StopOrder | None = None
    stop_over_ns: int = 0
    node_lost: str | None = None
    report: RunReport | None = None

    def of_this_start(self, boot_id: str) -> RunRecord:
        """The record as it holds now: a lease, and a stop's grace, from before the machine was started are over."""
        if self.boot_id == boot_id:
            return self
        if not self.boot_id:
            return replace(self, boot_id=boot_id)
        over = replace(self.lease, deadline_boottime_ns=0)
        return replace(self, boot_id=boot_id, lease=over, stop_over_ns=0)


def save(folder: Path, record: RunRecord) -> None:
    """Write the record durably; the folder is made where it is not there."""
    if not folder.exists():
        folder.mkdir(mode=0o700, parents=True)
        flush_folder(folder.parent)
    write_durably(folder / RECORD, json.dumps(_to_json(record)).encode())


def load(folder: Path) -> RunRecord | None:
    """The record of a folder; None where a crash left a folder without one (nothing had been started
    then). Raises StateUnusable for a record that cannot be read.
    """
    value = read_json(folder / RECORD)
    try:
        return None if value is None else _from_json(value)
    except (ValueError, LookupError, TypeError, AttributeError) as fault:
        raise StateUnusable(
            f"{folder / RECORD} holds no run: {fault}", f"{folder / RECORD}에 실행이 없습니다: {fault}"
        ) from fault


def remove(folder: Path) -> None:
    """Drop a run's folder; its record goes first, so that a crash leaves no run without its files."""
    (folder / RECORD).unlink(missing_ok=True)
    flush_folder(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _to_json(record: RunRecord) -> dict[str, Any]:
    return {
        "run_id": record.run_id,
        "order": record.order.model_dump(mode="json") if record.order else None,
        "lease": {
            "deadline_boottime_ns": record.lease.deadline_boottime_ns,
            "lease_seconds": record.lease.lease_seconds,
            "renewal": record.lease.renewal,
        },
        "boot_id": record.boot_id,
        "archive": record.archive,
        "gpu_indices": {str(rank): list(indices) for rank, indices in record.gpu_indices.items()},
        "port": record.port,
        "launched": record.launched,
        "stop": record.stop.model_dump(mode="json") if record.stop else None,
        "stop_over_ns": record.stop_over_ns,
        "node_lost": record.node_lost,
        "report": record.report.model_dump(mode="json") if record.report else None,
    }


def _from_json(value: dict[str, Any]) -> RunRecord:
    return RunRecord(
        run_id=value["run_id"],
        order=RunOrder.model_validate(value["order"]) if value["order"] else None,
        lease=Lease(**value["lease"]),
        boot_id=value.get("boot_id", ""),
        archive=value["archive"],
        gpu_indices={int(rank): tuple(indices) for rank, indices in value["gpu_indices"].items()},
        port=value["port"],
        launched=value["launched"],
        stop=StopOrder.model_validate(value["stop"]) if value["stop"] else None,
        stop_over_ns=value.get("stop_over_ns", 0),
        node_lost=value["node_lost"],
        report=RunReport.model_validate(value["report"]) if value["report"] else None,
    )
