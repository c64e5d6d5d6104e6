"""Addresses below ``/api/v1``: whatever a user typed stays one part of the path."""

from __future__ import annotations

from urllib.parse import quote

from scheduler.cli.failure import usage_failure


def path_of(*parts: str | int) -> str:
    """Join ``parts`` to a path, each percent-encoded; empty names and dots, which would name something else, are a
    usage failure."""
    for part in parts:
        if part in ("", ".", ".."):
            raise usage_failure(f"{part!r} is no name: write the one you mean.", f"{part!r}은(는) 이름이 아닙니다.")
    return "/".join(quote(str(part), safe="") for part in parts)
