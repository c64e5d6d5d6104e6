"""What an agent is told when it starts."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from pathlib import Path

from scheduler.model.data_class import DEFAULT_POLICY, DataClassPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """Settings of one agent. ``enrolment_token`` is needed once only; ``seed`` draws the waits between
    retries.

    ``wait_seconds_max`` is how long a request waits for news, ``timeout_seconds`` how long an answer may take beyond
    that, ``retry_seconds_max`` the longest wait between two tries: each at most the part of the lease that
    ``connectors.agent.pace`` allows. ``repeat_seconds`` is after how long an ended run that the server has not
    acknowledged is told again.
    """

    server: str
    state_directory: Path
    name: str
    enrolment_token: str | None = None
    policy: DataClassPolicy = DEFAULT_POLICY
    seed: int = 0
    wait_seconds_max: float = 20.0
    repeat_seconds: float = 1.0
    retry_seconds_min: float = 0.1
    retry_seconds_max: float = 10.0
    timeout_seconds: float = 30.0
    log_chunk_bytes: int = 256 * 1024
    log_look_seconds: float = 0.2
    want_seconds: float = 30.0
    content_bytes_max: int = 20 * 1024**3


def default_name() -> str:
    """A name for this agent from its host's, in the letters that the wire allows."""
    name = re.sub(r"[^A-Za-z0-9._:-]", "-", socket.gethostname()).strip("-._:")
    return (name or "agent")[:200]
