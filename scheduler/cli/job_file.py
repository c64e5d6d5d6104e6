"""From what the user wrote, a file or options, to the job document that is sent."""

from __future__ import annotations

import getpass
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scheduler.cli.archive import archive_directory
from scheduler.cli.client import Client
from scheduler.cli.failure import usage_failure

FILE_BYTES_MAX = 1024 * 1024
VALUES_MAX = 100_000
DEPTH_MAX = 32

#: What the makers of dates and numbers raise when a text only looks like one.
_FAULTS_OF_TAGS = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)


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
    except (yaml.YAMLError, *_FAULTS_OF_TAGS) as broken:
        where = getattr(broken, "problem_mark", None)
        line = f" (line {where.line + 1})" if where else ""
        raise usage_failure(f"{path} is not YAML{line}: {broken}", f"{path}: YAML이 아닙니다{line}.") from broken
    if not isinstance(document, dict) or not all(isinstance(name, str) for name in document):
        raise usage_failure(
            f"{path} has to hold fields such as name, group and command.",
            f"{path}에는 name, group, command 같은 항목이 있어야 합니다.",
        )
    _refuse_what_cannot_be_sent(path, document)
    return document


def _refuse_what_cannot_be_sent(path: Path, document: dict[str, Any]) -> None:
    """YAML has values that JSON lacks (dates, sets, bytes, not-a-number) and can hold itself; name the field."""
    left = [("", document, 0)]
    for _ in range(VALUES_MAX):
        if not left:
            return
        where, value, depth = left.pop()
        if depth > DEPTH_MAX:
            break
        if isinstance(value, dict) and all(isinstance(name, str | int) for name in value):
            left += [(f"{where}.{name}" if where else str(name), each, depth + 1) for name, each in value.items()]
        elif isinstance(value, list):
            left += [(f"{where}.{index}", each, depth + 1) for index, each in enumerate(value)]
        elif not _can_be_sent(value):
            raise usage_failure(
                f"{path}: {where} is read as {type(value).__name__}: put it in quotes to mean the text.",
                f"{path}: {where} 값이 {type(value).__name__}(으)로 읽힙니다. 글자로 쓰려면 따옴표로 묶으십시오.",
            )
    raise usage_failure(
        f"{path} is no job file: it is nested too deep or repeats itself.",
        f"{path}: 작업 파일이라기에는 너무 깊거나 자신을 되풀이합니다.",
    )


def _can_be_sent(value: object) -> bool:
    if isinstance(value, str):
        return all(not "\ud800" <= letter <= "\udfff" for letter in value)
    return value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def default_name(command: list[str]) -> str:
    """A job's name when the user gives none: its program."""
    return Path(command[0]).name or f"{getpass.getuser()}-job"


def with_directory(document: Mapping[str, Any], base: Path, client: Client, *, upload: bool = True) -> dict[str, Any]:
    """Replace a local ``working_directory`` by the digest of its archive, uploaded if the server lacks it.

    Without ``upload`` it is packed, so that what is wrong with it is told, and left out of the document.
    """
    named = document.get("working_directory")
    if not isinstance(named, str) or named.startswith("sha256:"):
        return dict(document)
    digest, data = archive_directory(Path(os.path.realpath(base / named.replace("\x00", "�"))))
    if not upload:
        return {name: value for name, value in document.items() if name != "working_directory"}
    if not client.has_content(digest):
        client.put_content(digest, data)
    return {**document, "working_directory": digest}
