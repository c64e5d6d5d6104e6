"""What a Ray site's connector remembers of one run, in the run's own folder."""

from __future__ import annotations

import json
import secrets
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from connectors.agent.durable import flush_folder, read_json, write_durably
from connectors.errors import StateUnusable
from connectors.protocol import Lease
from scheduler.model.wire import RunOrder, RunReport, StopOrder

RECORD = "run.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class RayRunRecord:
    """One run. ``order`` is None for a run that was stopped before it came; ``submission_id`` is Ray's name of the run,
    the same however often it is submitted and no other site's; ``archive`` is the working directory as it came;
    ``boot_id`` is the start of the machine of whose CLOCK_BOOTTIME its times are, ``lease`` the longest (None
    where an earlier version wrote it);
    ``submitted`` is set before Ray is asked, so that a restart looks for the submission; ``port`` is the gang's
    rendezvous; ``stop_over_ns`` is until when a run that is being stopped is renewed.
    """

    run_id: int
    order: RunOrder | None
    secret: str
    submission_id: str
    archive: Path | None = None
    boot_id: str | None = None
    lease: Lease | None = None
    submitted: bool = False
    port: int | None = None
    stop: StopOrder | None = None
    stop_over_ns: int = 0
    report: RunReport | None = None


def new_record(run_id: int, order: RunOrder | None, **values: Any) -> RayRunRecord:
    """A record with names that nobody can guess. Two federations may share a cluster, and count their runs alike."""
    submission_id = f"dure-run-{run_id}-{order.epoch if order else 0}-{secrets.token_hex(6)}"
    secret = secrets.token_urlsafe(32)
    return RayRunRecord(run_id=run_id, order=order, secret=secret, submission_id=submission_id, **values)


def save(folder: Path, record: RayRunRecord) -> None:
    """Write the record durably; the folder is made where it is not there."""
    if not folder.exists():
        folder.mkdir(mode=0o700, parents=True)
        flush_folder(folder.parent)
    value = {
        "run_id": record.run_id,
        "order": record.order.model_dump(mode="json") if record.order else None,
        "secret": record.secret,
        "submission_id": record.submission_id,
        "archive": str(record.archive) if record.archive else None,
        "boot_id": record.boot_id,
        "lease": asdict(record.lease) if record.lease else None,
        "submitted": record.submitted,
        "port": record.port,
        "stop": record.stop.model_dump(mode="json") if record.stop else None,
        "stop_over_ns": record.stop_over_ns,
        "report": record.report.model_dump(mode="json") if record.report else None,
    }
    write_durably(folder / RECORD, json.dumps(value).encode())


def load(folder: Path) -> RayRunRecord | None:
    """The record of a folder; None where a crash left a folder without one: nothing had been asked of Ray then. Raises
    StateUnusable where it cannot be read.
    """
    value = read_json(folder / RECORD)
    if value is None:
        return None
    try:
        return _record_of(value)
    except (ValueError, LookupError, TypeError, AttributeError) as fault:
        raise StateUnusable(
            f"{folder / RECORD} is damaged: {fault}", f"{folder / RECORD} 파일이 손상되었습니다: {fault}"
        ) from fault


def _record_of(value: dict[str, Any]) -> RayRunRecord:
    order = RunOrder.model_validate(value["order"]) if value["order"] else None
    return RayRunRecord(
        run_id=value["run_id"],
        order=order,
        secret=value["secret"],
        submission_id=value.get("submission_id") or f"dure-run-{value['run_id']}-{order.epoch if order else 0}",
        archive=Path(value["archive"]) if value.get("archive") else None,
        boot_id=value.get("boot_id"),
        lease=Lease(**value["lease"]) if value.get("lease") else None,
        submitted=value["submitted"],
        port=value["port"],
        stop=StopOrder.model_validate(value["stop"]) if value["stop"] else None,
        stop_over_ns=value.get("stop_over_ns", 0),
        report=RunReport.model_validate(value["report"]) if value["report"] else None,
    )


def remove(folder: Path) -> None:
    """Drop a run's folder; its record goes first, so that a crash leaves no run without its files."""
    (folder / RECORD).unlink(missing_ok=True)
    flush_folder(folder)
    shutil.rmtree(folder, ignore_errors=True)
