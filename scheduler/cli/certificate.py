"""How near to the best possible the federation was, and what one more GPU would be worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from scheduler.cli.language import say, text_of
from scheduler.cli.options import Output, command
from scheduler.cli.output import Column, OutputFormat, field, show_duration, show_time


def _length(name: str) -> Callable[[Mapping[str, Any]], str]:
    """A column's value: how long something takes, to a tenth where that is less than a minute."""
    return lambda row: f"{row[name]:.1f}s" if row[name] < 60 else show_duration(row[name])


_CLASSES = (
    Column(heading="CLASS", value=field("gpu_class")),
    Column(heading="JOBS", value=field("jobs")),
    Column(heading="MEAN-COMPLETION", value=_length("mean_completion_seconds")),
    Column(heading="AT-LEAST", value=_length("mean_completion_lower_bound_seconds")),
    Column(heading="WITHIN", value=lambda row: f"{row['within_percent']:.1f}%"),
)
_PRICES = (
    Column(heading="CLASS", value=field("gpu_class")),
    Column(heading="SITE", value=field("site")),
    Column(heading="HOURS-SAVED", value=lambda row: f"{row['hours_saved']:.1f}"),
)


@command
def certificate(output: Output = OutputFormat.TABLE) -> None:
    """How near to the best possible the mean completion of jobs was, and what one more GPU would be worth, by class and site."""
    from scheduler.cli.client import Client
    from scheduler.cli.output import write_rows

    told = Client.from_profile().get("certificate")
    if output in (OutputFormat.TABLE, OutputFormat.WIDE):
        _write_tables(told, output)
    else:
        write_rows(told["classes"], _CLASSES, output, "gpu_class", document=told)


def _write_tables(told: Mapping[str, Any], output: OutputFormat) -> None:
    import sys

    from scheduler.cli.output import write_note, write_rows

    sys.stdout.write(f"{text_of(told['report'])}\n")
    for rows, columns in ((told["classes"], _CLASSES), (told["prices"], _PRICES)):
        if rows:
            sys.stdout.write("\n")
            write_rows(rows, columns, output, "gpu_class")
    if told["made_at"] is None:
        return
    if told["no_prices"] is not None:
        sys.stdout.write(f"\n{text_of(told['no_prices'])}\n")
    else:
        write_note(
            say(
                "HOURS-SAVED: hours of waiting that one more GPU there for the next hour would save, all jobs together.",
                "HOURS-SAVED: 앞으로 한 시간 동안 GPU가 하나 더 있다면 모든 작업을 합해 줄어드는 대기 시간.",
            )
        )
    left_out, without_time, made = told["left_out"], told["waiting_without_time"], show_time(told["made_at"])
    write_note(
        say(
            f"As of {made}. Left out: {left_out} jobs that succeeded, {without_time} that wait.",
            f"{made} 기준. 제외: 성공한 작업 {left_out}개, 대기 작업 {without_time}개.",
        )
    )
