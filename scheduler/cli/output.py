"""Showing answers: ``-o table|wide|json|yaml|name``, colour only on a terminal, widths that know Hangul."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from scheduler.cli.language import text_of

KOREA = timezone(timedelta(hours=9), "KST")
#: No column is made wider than this for one long text among many short ones.
COLUMN_WIDTH_MAX = 48

_STATE_STYLES = {
    "running": "green",
    "succeeded": "green",
    "starting": "cyan",
    "leased": "cyan",
    "queued": "yellow",
    "held": "yellow",
    "preempting": "yellow",
    "cancelling": "yellow",
    "failed": "red",
    "cancelled": "dim",
    "unreachable": "magenta",
}


class OutputFormat(StrEnum):
    """How an answer is written."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table: its heading and how a row fills it. ``wide`` columns show with ``-o wide`` only."""

    heading: str
    value: Callable[[Mapping[str, Any]], str]
    wide: bool = False


def field(name: str) -> Callable[[Mapping[str, Any]], str]:
    """A column's value: the row's field as text, ``-`` where it is missing."""

    def value(row: Mapping[str, Any]) -> str:
        found = row.get(name)
        if found is None or found in ([], ""):
            return "-"
        if isinstance(found, bool):
            return "yes" if found else "no"
        return ",".join(map(str, found)) if isinstance(found, list) else str(found)

    return value


def time_field(name: str) -> Callable[[Mapping[str, Any]], str]:
    """A column's value: a UTC time of the row, shown in Korean time."""

    def value(row: Mapping[str, Any]) -> str:
        found = row.get(name)
        return show_time(found) if found else "-"

    return value


def show_time(iso: str) -> str:
    """An ISO 8601 time as ``YYYY-MM-DD HH:MM:SS KST``, in Korean time; ``-`` for a text that is no time."""
    try:
        moment = datetime.fromisoformat(iso.replace("Z", "+00:00")).astimezone(KOREA)
    except (ValueError, OverflowError):
        return "-"
    return moment.strftime("%Y-%m-%d %H:%M:%S KST")


def show_zoned_time(iso: str) -> str:
    """An ISO 8601 time as ``MM-DD HH:MM KST``."""
    moment = datetime.fromisoformat(iso.replace("Z", "+00:00")).astimezone(KOREA)
    return moment.strftime("%m-%d %H:%M %Z")


def show_duration(seconds: float | None) -> str:
    """Seconds as ``2d03h``, ``3h04m``, ``5m06s`` or ``7s``; ``-`` for None."""
    if seconds is None:
        return "-"
    whole = timedelta(seconds=int(seconds))
    hours, rest = divmod(whole.seconds, 3600)
    minutes, left = divmod(rest, 60)
    if whole.days:
        return f"{whole.days}d{hours:02}h"
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{left:02}s" if minutes else f"{left}s"


def show_reason(reason: Mapping[str, Any] | None) -> str:
    """A reason's sentence; ``-`` for none."""
    return text_of(reason) if reason else "-"


class _Screen(Console):
    """A console that leaves it to the command what a closed pipe means."""

    def on_broken_pipe(self) -> None:
        """Hand the closed pipe on."""
        raise BrokenPipeError


def console(*, errors: bool = False) -> Console:
    """A console that colours only on a terminal and obeys NO_COLOR."""
    stream = sys.stderr if errors else sys.stdout
    return _Screen(file=stream, highlight=False, soft_wrap=True, no_color=None, force_terminal=None)


def write_document(document: Any, output: OutputFormat) -> bool:
    """Write a machine-readable form; False when ``output`` asks for a table."""
    if output is OutputFormat.JSON:
        sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    elif output is OutputFormat.YAML:
        import yaml

        sys.stdout.write(yaml.safe_dump(document, allow_unicode=True, sort_keys=False))
    else:
        return False
    return True


def write_rows(
    rows: Iterable[Mapping[str, Any]],
    columns: Sequence[Column],
    output: OutputFormat,
    name: str,
    document: Any = None,
) -> None:
    """Write a list in the asked form. ``name`` is the field that ``-o name`` prints, one a line."""
    items = list(rows)
    if write_document({"items": items} if document is None else document, output):
        return
    if output is OutputFormat.NAME:
        sys.stdout.writelines(f"{item[name]}\n" for item in items)
        return
    shown = [column for column in columns if output is OutputFormat.WIDE or not column.wide]
    write_table([column.heading for column in shown], [[column.value(item) for column in shown] for item in items])


def write_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write aligned columns, two spaces between; the last column takes what it needs, and one long cell pushes its own row."""
    out = console()
    widths = [
        max([cell_len(heading), *(min(cell_len(row[index]), COLUMN_WIDTH_MAX) for row in rows)])
        for index, heading in enumerate(headings)
    ]

    def line(cells: Sequence[str], heading: bool = False) -> Text:
        text = Text()
        for index, cell in enumerate(cells):
            padding = "" if index == len(cells) - 1 else " " * max(2, widths[index] - cell_len(cell) + 2)
            text.append(cell, style="bold" if heading else _STATE_STYLES.get(cell, ""))
            text.append(padding)
        return text

    out.print(line(headings, heading=True))
    for row in rows:
        out.print(line([cell.replace("\n", " ") for cell in row]))


def write_fields(
    document: Mapping[str, Any], pairs: Sequence[tuple[str, str]], output: OutputFormat, name: str
) -> None:
    """Write one thing: labels and values below each other, or its JSON, YAML or name."""
    if write_document(document, output):
        return
    if output is OutputFormat.NAME:
        sys.stdout.write(f"{document[name]}\n")
        return
    out = console()
    width = max(cell_len(label) for label, _ in pairs)
    for label, value in pairs:
        text = Text(label + " " * (width - cell_len(label) + 2), style="bold")
        text.append(Text(value, style=_STATE_STYLES.get(value, "") or "not bold"))
        out.print(text)


def write_done(document: Mapping[str, Any], output: OutputFormat, name: str) -> None:
    """Say in a machine's form what a command did that has no answer of its own; a table is silent."""
    if not write_document(document, output) and output is OutputFormat.NAME:
        sys.stdout.write(f"{document[name]}\n")


def write_note(text: str) -> None:
    """A remark for people on standard error, so that pipes stay clean."""
    console(errors=True).print(Text(text))


def now_iso() -> str:
    """The present as the server writes times."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
