"""From what the user wrote, a file or options, to the job document that is sent."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scheduler.cli.archive import archive_directory
from scheduler.cli.client import Client
from scheduler.cli.document_file import read_document, refuse_what_cannot_be_sent
from scheduler.cli.failure import usage_failure

_NOUN = ("job file", "작업 파일")


def read_job_file(path: Path) -> dict[str, Any]:
    """Read a YAML job file. What it says is judged by the server; here only that it is a document of fields."""
    document = read_document(path, _NOUN)
    if not isinstance(document, dict) or not all(isinstance(name, str) for name in document):
        raise usage_failure(
            f"{path} has to hold fields such as name, group and command.",
            f"{path}에는 name, group, command 같은 항목이 있어야 합니다.",
        )
    refuse_what_cannot_be_sent(path, document, _NOUN)
    return document


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
