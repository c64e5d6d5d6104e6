"""Following a job: its states and its log as they happen, through broken connections, until it ends."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from typing import Any

import httpx

from scheduler.cli.address import path_of
from scheduler.cli.client import Client, ServerEvent
from scheduler.cli.failure import EXIT_JOB_FAILED, EXIT_TIMEOUT, CommandFailure, failure_of_problem
from scheduler.cli.language import say
from scheduler.cli.output import show_reason, write_note

_RECONNECTS_MAX = 60
_RECONNECT_SECONDS_MAX = 5.0

EXIT_OF_STATE = {"succeeded": 0, "failed": EXIT_JOB_FAILED, "cancelled": EXIT_JOB_FAILED}


#: What has to stand in an event that is shown, and of which kind it is.
_NEEDED: Mapping[str, tuple[str, type]] = {
    "state": ("state", str),
    "end": ("state", str),
    "log": ("text", str),
    "refused": ("status", int),
}


class _Screen:
    """What was shown last, so that a change is shown once."""

    def __init__(self, *, states: bool, aside: bool) -> None:
        self._states = states
        self._log = sys.stderr if aside else sys.stdout
        self._shown: tuple[object, object] | None = None

    def show_state(self, job: Mapping[str, Any]) -> None:
        """Tell a state that was not told yet."""
        told = job.get("reason")
        reason = told if isinstance(told, dict) else {}
        now = (job["state"], reason.get("code"))
        if not self._states or now == self._shown:
            return
        self._shown = now
        site = f" @ {job['site']}" if job.get("site") else ""
        why = f": {show_reason(reason)}" if reason else ""
        write_note(f"[{job.get('id')}] {job['state']}{site}{why}")

    def show_log(self, part: Mapping[str, Any]) -> None:
        """Hand on what the log has grown by."""
        self._log.write(part["text"])
        self._log.flush()


def follow_job(
    client: Client, job: int, *, rank: int = 0, states: bool = True, log: bool = True, aside: bool = False
) -> dict[str, Any]:
    """Show the job until it has ended; answer its last state. Ctrl-C leaves the job running and says so.

    Raises ``CommandFailure`` when the server says that its caller may see the job no more: their token has expired or was
    revoked, or their role was taken away. ``aside`` puts the log on standard error, where standard output is for a program.
    """
    screen = _Screen(states=states, aside=aside)
    last_event_id: str | None = None
    failures = 0
    try:
        while True:
            try:
                for event in client.stream(
                    path_of("jobs", job, "stream"), last_event_id, rank=rank, log=str(log).lower()
                ):
                    last_event_id, failures = event.id or last_event_id, 0
                    ended = _show(event, screen, client)
                    if ended is not None:
                        return ended
            except (httpx.TransportError, httpx.DecodingError):
                pass
            failures += 1
            if failures > _RECONNECTS_MAX:
                raise CommandFailure(
                    EXIT_TIMEOUT,
                    say(
                        f"The connection keeps breaking. Job {job} goes on: `dure logs -f {job}`.",
                        f"연결이 계속 끊어집니다. 작업 {job}은(는) 계속됩니다: `dure logs -f {job}`.",
                    ),
                )
            time.sleep(min(0.2 * failures, _RECONNECT_SECONDS_MAX))
    except KeyboardInterrupt:
        write_note(
            say(
                f"\nStopped following. Job {job} goes on; `dure logs -f {job}` follows it again, "
                f"`dure cancel {job}` ends it.",
                f"\n따라보기를 멈췄습니다. 작업 {job}은(는) 계속됩니다. 다시 보기: `dure logs -f {job}`, "
                f"취소: `dure cancel {job}`.",
            )
        )
        raise CommandFailure(130) from None


def _show(event: ServerEvent, screen: _Screen, client: Client) -> dict[str, Any] | None:
    if event.name not in _NEEDED:
        return None
    document = _document(event, client)
    if event.name == "refused":
        raise failure_of_problem(document["status"], document)
    if event.name == "log":
        screen.show_log(document)
        return None
    screen.show_state(document)
    return document if event.name == "end" else None


def _document(event: ServerEvent, client: Client) -> dict[str, Any]:
    """What an event says; the failure of an address where it says nothing that a federation's server would."""
    try:
        document = json.loads(event.data)
    except (ValueError, RecursionError) as unreadable:
        raise client.failure_of_answer() from unreadable
    needed, kind = _NEEDED[event.name]
    if not isinstance(document, dict) or not isinstance(document.get(needed), kind):
        raise client.failure_of_answer()
    return document


def fail_unless_succeeded(job: Mapping[str, Any]) -> None:
    """Raise the failure of a job that ended badly."""
    exit_code = EXIT_OF_STATE.get(job["state"], EXIT_JOB_FAILED)
    if exit_code:
        raise CommandFailure(exit_code)
