"""Answers on the screen: five formats, columns that line up with Hangul in them, colour only on a terminal."""

from __future__ import annotations

import json

import pytest
import yaml
from rich.cells import cell_len

from scheduler.cli.output import (
    COLUMN_WIDTH_MAX,
    Column,
    OutputFormat,
    field,
    show_duration,
    show_time,
    time_field,
    write_rows,
    write_table,
)

ROWS = [{"id": 1, "name": "학습", "site": None}, {"id": 22, "name": "train", "site": "national-1"}]
COLUMNS = (
    Column(heading="ID", value=field("id")),
    Column(heading="NAME", value=field("name")),
    Column(heading="SITE", value=field("site"), wide=True),
)


def written(output: OutputFormat, capsys: pytest.CaptureFixture[str]) -> str:
    write_rows(ROWS, COLUMNS, output, "id")
    return capsys.readouterr().out


def test_json_and_yaml_hold_the_items_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(written(OutputFormat.JSON, capsys)) == {"items": ROWS}
    assert yaml.safe_load(written(OutputFormat.YAML, capsys)) == {"items": ROWS}


def test_name_prints_one_identifier_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert written(OutputFormat.NAME, capsys) == "1\n22\n"


def test_columns_line_up_by_what_a_terminal_shows_not_by_letters(capsys: pytest.CaptureFixture[str]) -> None:
    heading, korean, english = written(OutputFormat.WIDE, capsys).splitlines()
    assert cell_len(heading[: heading.index("SITE")]) == cell_len(korean[: korean.rindex("-")])
    assert cell_len(heading[: heading.index("SITE")]) == cell_len(english[: english.index("national")])


def test_wide_shows_more_than_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert "SITE" not in written(OutputFormat.TABLE, capsys)
    assert "SITE" in written(OutputFormat.WIDE, capsys)


def test_no_escape_codes_are_written_to_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert "\x1b" not in written(OutputFormat.TABLE, capsys)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0, "0s"), (59.9, "59s"), (306, "5m06s"), (11_040, "3h04m"), (183_600, "2d03h")],
)
def test_a_duration_is_short(seconds: float | None, text: str) -> None:
    assert show_duration(seconds) == text


def test_a_time_is_shown_in_korean_time() -> None:
    assert show_time("2026-11-24T18:30:05.000Z") == "2026-11-25 03:30:05 KST"
    assert time_field("at")({"at": None}) == "-"


def test_one_long_text_pushes_its_own_row_and_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 200
    write_table(["WHY", "DATA"], [["short", "1"], [long, "2"]])
    assert capsys.readouterr().out.splitlines() == [
        "WHY".ljust(COLUMN_WIDTH_MAX) + "  DATA",
        "short".ljust(COLUMN_WIDTH_MAX) + "  1",
        f"{long}  2",
    ]
