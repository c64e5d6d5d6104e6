"""The exchange table: which GPU classes there are, and what a GPU-hour of each is worth from when on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from fractions import Fraction
from typing import Annotated, Any

import typer

from scheduler.cli.address import path_of
from scheduler.cli.moment import moment_text
from scheduler.cli.options import Output, Why, command, strip_none
from scheduler.cli.output import Column, OutputFormat, field, time_field

#: As the server bounds numerator and denominator.
PART_MAX = 1_000_000


def _credits(row: Mapping[str, Any]) -> str:
    return str(Fraction(row["credit_numerator"], row["credit_denominator"]))


_COLUMNS = (
    Column(heading="CLASS", value=field("name")),
    Column(heading="CREDITS", value=_credits),
    Column(heading="FROM", value=time_field("valid_from")),
)

gpu_class_app = typer.Typer(help="GPU classes, and what a GPU-hour of each is worth.", no_args_is_help=True)


def _write_gpu_classes(rows: Any, output: OutputFormat) -> None:
    from scheduler.cli.output import write_rows

    write_rows(rows, _COLUMNS, output, "name")


@gpu_class_app.command("list")
@command
def gpu_class_list(output: Output = OutputFormat.TABLE) -> None:
    """The exchange table, by class and date."""
    from scheduler.cli.client import Client

    _write_gpu_classes(Client.from_profile().pages("gpu-classes"), output)


@gpu_class_app.command("set")
@command
def gpu_class_set(
    gpu_class: Annotated[str, typer.Argument(help="GPU class, e.g. h100.")],
    worth: Annotated[str, typer.Argument(help="Credits of a GPU-hour, like 1.25 or 5/4: an h100's is 1.")],
    begins: Annotated[
        str | None, typer.Option("--from", help="From when on: 2h from now, or 2026-12-24T18:00; else now.")
    ] = None,
    why: Why = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Set what a GPU-hour of a class is worth, and make a new class known (administrators). What was charged stays."""
    from scheduler.cli.client import Client

    rate = _read_credits(worth)
    body = {
        "credit_numerator": rate.numerator,
        "credit_denominator": rate.denominator,
        "valid_from": None if begins is None else moment_text(begins, "--from", datetime.now(UTC)),
        "why": why,
    }
    _write_gpu_classes([Client.from_profile().put(path_of("gpu-classes", gpu_class), strip_none(body), {})], output)


def _read_credits(text: str) -> Fraction:
    from scheduler.cli.failure import usage_failure

    try:
        rate = Fraction(text.strip())
        if 0 <= rate.numerator <= PART_MAX and rate.denominator <= PART_MAX:
            return rate
    except (ValueError, ZeroDivisionError):
        pass  # told as anything else that is no rate
    raise usage_failure(
        f"{text!r} is no number of credits: write one like 1.25 or 5/4, 0 or more, of at most six digits.",
        f"{text!r}은(는) 크레딧 수가 아닙니다. 1.25나 5/4처럼 0 이상, 여섯 자리 이내로 쓰십시오.",
    )
