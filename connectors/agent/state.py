"""The agent's own folder: readable by its owner only, used by one agent at a time, counted at every start."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

from pydantic import ValidationError

from connectors.agent.durable import read_json, write_durably
from connectors.errors import StateUnusable
from scheduler.model.wire import EnrolResponse, SiteContract


class StateDirectory:
    """Holds the lock of the folder until ``close``. ``incarnation`` is 1 at the first start and grows by
    one each.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as fault:
            os.close(self._lock)
            raise StateUnusable(
                f"another agent runs on {path}; stop it, or give this one its own folder with --state",
                f"다른 에이전트가 {path}을(를) 쓰고 있습니다. 그것을 끝내거나 --state로 다른 폴더를 주십시오",
            ) from fault
        try:
            count = read_json(path / "incarnation.json")
        except StateUnusable:
            os.close(self._lock)
            raise
        self.incarnation = (count if isinstance(count, int) else 0) + 1
        write_durably(path / "incarnation.json", json.dumps(self.incarnation).encode())

    def credential(self) -> EnrolResponse | None:
        """What enrolment gave; None before it. Raises StateUnusable for a file that holds something else."""
        value = read_json(self.path / "credential.json")
        try:
            return None if value is None else EnrolResponse.model_validate(value)
        except ValidationError as fault:
            field = ".".join(str(part) for part in fault.errors(include_url=False)[0]["loc"]) or "it"
            path = self.path / "credential.json"
            raise StateUnusable(
                f"{path} holds no credential ({field}): move it away and enrol again (dure site enrol NAME)",
                f"{path}에 자격 증명이 없습니다({field}). 치우고 다시 등록하십시오(dure site enrol NAME)",
            ) from fault

    def keep_credential(self, enrolled: EnrolResponse) -> None:
        """Keep what enrolment gave, for the owner's eyes only."""
        write_durably(self.path / "credential.json", enrolled.model_dump_json().encode())

    def keep_contract(self, contract: SiteContract) -> None:
        """Keep a contract that has changed since enrolment."""
        enrolled = self.credential()
        if enrolled is not None and enrolled.contract != contract:
            self.keep_credential(enrolled.model_copy(update={"contract": contract}))

    def enrolment_key(self) -> str:
        """The idempotency key of this folder's enrolment, the same over restarts: an answer lost is asked
        for again.
        """
        value = read_json(self.path / "enrolment.json")
        if not isinstance(value, str) or not value:
            value = f"enrol-{os.urandom(16).hex()}"
            write_durably(self.path / "enrolment.json", json.dumps(value).encode())
        return value

    def close(self) -> None:
        """Let another agent use the folder."""
        os.close(self._lock)
