"""From what the user wrote, a file or options, to the job document that is sent."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scheduler.cli.archive import archive_directory
from scheduler.cli.client import Client
from scheduler.cli.failure import usage_failure

FILE_BYTES_MAX = 1024 * 1024


def read_job_file(path: Path) -> dict[str, Any]:
    """Read a YAML job file. What it says is judged by the server; here only that it is a document of fields."""
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as unreadable:
        raise usage_failure(
            f"{path} cannot be read: {unreadable}", f"{path} 파일을 읽을 수 없습니다: {unreadable}"
        ) from unreadable
    if len(text) > FILE_BYTES_MAX:
        raise usage_failure(f"{path} is no job file: it is too long.", f"{path}: 작업 파일이라기에는 너무 깁니다.")
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as broken:
        where = getattr(broken, "problem_mark", None)
        line = f" (line {where.line + 1})" if where else ""
        raise usage_failure(f"{path} is not YAML{line}: {broken}", f"{path}: YAML이 아닙니다{line}.") from broken
    if not isinstance(document, dict) or not all(isinstance(name, str) for name in document):
        raise usage_failure(
            f"{path} has to hold fields such as name, group and command.",
            f"{path}에는 name, group, command 같은 항목이 있어야 합니다.",
        )
    return document


def default_name(command: list[str]) -> str:
    """A job's name when the user gives none: its program."""
    return Path(command[0]).name or f"{getpass.getuser()}-job"


def with_uploaded_directory(document: Mapping[str, Any], base: Path, client: Client) -> dict[str, Any]:
    """Replace a local ``working_directory`` by the digest of its archive, uploaded if the server lacks it."""
    named = document.get("working_directory")
    if not isinstance(named, str) or named.startswith("sha256:"):
        return dict(document)
    digest, data = archive_directory((base / named).resolve())
    if not client.has_content(digest):
        client.put_content(digest, data)
    return {**document, "working_directory": digest}
