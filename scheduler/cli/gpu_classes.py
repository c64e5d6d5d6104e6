"""The exchange table: which GPU classes there are, what a GPU-hour of each is worth from when on, and how fast each is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from fractions import Fraction
from typing import Annotated, Any

import typer

from scheduler.cli.address import path_of
from scheduler.cli.moment import moment_text
from scheduler.cli.options import Output, Why, command
from scheduler.cli.output import Column, OutputFormat, field, time_field
from scheduler.model.run_time import SPEED_MAX, SPEED_MIN

#: As the server bounds numerator and denominator.
PART_MAX = 1_000_000
#: In the place of a speed: nobody says it any more.
NO_SPEED = "none"


def _credits(row: Mapping[str, Any]) -> str:
    return str(Fraction(row["credit_numerator"], row["credit_denominator"]))


def _speed(row: Mapping[str, Any]) -> str:
    speed = row.get("speed")
    return "-" if speed is None else f"{speed:g}"


_COLUMNS = (
    Column(heading="CLASS", value=field("name")),
    Column(heading="CREDITS", value=_credits),
    Column(heading="FROM", value=time_field("valid_from")),
    Column(heading="SPEED", value=_speed),
)

gpu_class_app = typer.Typer(
    help="GPU classes, what a GPU-hour of each is worth, and how fast each is.", no_args_is_help=True
)


def _write_gpu_classes(rows: Any, output: OutputFormat) -> None:
    from scheduler.cli.output import write_rows

    write_rows(rows, _COLUMNS, output, "name")


@gpu_class_app.command("list")
@command
def gpu_class_list(output: Output = OutputFormat.TABLE) -> None:
    """The exchange table, by class and date, and how fast classes are."""
    from scheduler.cli.client import Client

    _write_gpu_classes(Client.from_profile().pages("gpu-classes"), output)


@gpu_class_app.command("set")
@command
def gpu_class_set(
    gpu_class: Annotated[str, typer.Argument(help="GPU class, e.g. h100.")],
    worth: Annotated[
        str | None,
        typer.Argument(help="Credits of a GPU-hour, like 1.25 or 5/4: an h100's is 1. What was charged stays."),
    ] = None,
    speed: Annotated[
        str | None,
        typer.Option("--speed", help="How fast it is, relative to others, like 1.4; for predictions. none: unknown."),
    ] = None,
    begins: Annotated[
        str | None, typer.Option("--from", help="From when on: 2h from now, or 2026-12-24T18:00; else now.")
    ] = None,
    why: Why = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Set what a GPU-hour of a class is worth, which makes a new one known, or how fast it is (administrators)."""
    from scheduler.cli.client import Client

    body: dict[str, Any] = {"why": why}
    if worth is not None:
        rate = _read_credits(worth)
        body |= {"credit_numerator": rate.numerator, "credit_denominator": rate.denominator}
    body |= {"speed": _read_speed(speed)} if speed is not None else {}
    _require_something(worth, speed, begins)
    if begins is not None:
        body["valid_from"] = moment_text(begins, "--from", datetime.now(UTC))
    _write_gpu_classes([Client.from_profile().put(path_of("gpu-classes", gpu_class), body, {})], output)


def _require_something(worth: str | None, speed: str | None, begins: str | None) -> None:
    from scheduler.cli.failure import usage_failure

    if worth is None and speed is None:
        raise usage_failure(
            "Say what a GPU-hour of it is worth, how fast it is, or both: dure gpu-class set h200 1.4 --speed 1.2",
            "GPU-시간당 크레딧이나 속도를, 또는 둘 다 쓰십시오: dure gpu-class set h200 1.4 --speed 1.2",
        )
    if worth is None and begins is not None:
        raise usage_failure(
            "--from is when credits begin to hold, a speed does at once: say the credits too, or leave --from out.",
            "--from은 크레딧이 적용되는 때이고 속도는 바로 적용됩니다. 크레딧도 쓰거나 --from을 빼십시오.",
        )


def _read_speed(text: str) -> float | None:
    from scheduler.cli.failure import usage_failure

    if text.strip() == NO_SPEED:
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0  # told as anything else that is no speed
    if SPEED_MIN <= speed <= SPEED_MAX:
        return speed
    raise usage_failure(
        f"--speed {text!r} is no speed: write a number like 1.4, from {SPEED_MIN} to {SPEED_MAX}, or {NO_SPEED} where it is "
        "not known any more.",
        f"--speed {text!r}은(는) 속도가 아닙니다. {SPEED_MIN}에서 {SPEED_MAX}까지의 수를 1.4처럼 쓰거나, 더는 알 수 없으면 "
        f"{NO_SPEED}을 쓰십시오.",
    )


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
