"""Files that survive a crash at any instruction: written beside, flushed, renamed, the folder flushed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from connectors.errors import StateUnusable


def write_durably(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace ``path`` by ``content``: after a crash the file holds the old bytes or the new ones, never a
    part.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    flush_folder(path.parent)


def replace_quickly(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace ``path`` whole, without waiting for the disk: for what need not outlive the machine (leases,
    signals).
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)
    beside.replace(path)


def flush_folder(folder: Path) -> None:
    """Make names that were made in, or went from, ``folder`` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_json(path: Path) -> Any | None:
    """What ``path`` holds; None where there is no such file. Raises StateUnusable when it is no JSON."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise StateUnusable(
            f"{path} is damaged ({fault}); move it away and start the agent again",
            f"{path} 파일이 손상되었습니다({fault}). 치우고 에이전트를 다시 시작하십시오",
        ) from fault
