"""Options that many commands share, and the way commands run: one place that turns failures into exit codes."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any, ParamSpec

import typer
from typer.core import TyperCommand

from scheduler.cli.language import say
from scheduler.cli.output import OutputFormat

Parameters = ParamSpec("Parameters")

_WORDS = "dure.words"


class CommandAfterDashes(TyperCommand):
    """A command whose words after ``--`` are somebody else's command, never taken for its own arguments."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Set the words after the first ``--`` aside before the rest is parsed."""
        if "--" in args:
            at = args.index("--")
            ctx.meta[_WORDS] = args[at + 1 :]
            args = args[:at]
        return super().parse_args(ctx, args)


def words_after_dashes(context: typer.Context) -> list[str]:
    """What the user wrote after ``--``."""
    return list(context.meta.get(_WORDS, ()))


EXIT_INTERRUPTED = 130

Output = Annotated[OutputFormat, typer.Option("--output", "-o", help="table, wide, json, yaml or name.")]
Why = Annotated[str, typer.Option("--why", help="Reason, kept in the record.")]


def command(function: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Run a command; what cannot be done becomes its message on standard error and its exit code.

    A reader who has seen enough (``| head``) is no failure.
    """

    @functools.wraps(function)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            exit_code = _exit_code_of(lambda: function(*args, **kwargs))
        except BrokenPipeError:
            _let_go_of_output()
            exit_code = 0
        if exit_code:
            raise typer.Exit(exit_code) from None

    return run


def _exit_code_of(act: Callable[[], None]) -> int:
    from scheduler.cli.failure import CommandFailure, failure_of_fault

    try:
        act()
        sys.stdout.flush()
    except CommandFailure as told:
        failure = told
    except BrokenPipeError:
        raise
    except (OSError, UnicodeError) as fault:
        _let_go_of_output()
        failure = failure_of_fault(fault)
    except (KeyboardInterrupt, typer.Abort):  # the latter where a question was asked
        sys.stderr.write(say("\nInterrupted.\n", "\n중단했습니다.\n"))
        return EXIT_INTERRUPTED
    else:
        return 0
    from scheduler.cli.output import write_note

    for line in failure.lines:
        write_note(line)
    return failure.exit_code


def _let_go_of_output() -> None:
    """Write out what can be, and keep the interpreter from failing on the rest when it closes the file."""
    try:
        sys.stdout.flush()
    except OSError:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)


def confirm(question: str, yes: bool) -> None:
    """Ask before something that cannot be taken back; without a terminal ``--yes`` is needed."""
    from scheduler.cli.failure import CommandFailure, usage_failure

    if yes:
        return
    if not sys.stdin.isatty():
        raise usage_failure("Say --yes to confirm without a terminal.", "터미널이 아니면 --yes로 확인하십시오.")
    if not typer.confirm(question, err=True):
        raise CommandFailure(EXIT_INTERRUPTED, say("Nothing was done.", "아무것도 하지 않았습니다."))


def parse_assignments(values: list[str], option: str) -> dict[str, str]:
    """Read ``NAME=VALUE`` options."""
    from scheduler.cli.failure import usage_failure

    found: dict[str, str] = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name:
            raise usage_failure(
                f"{option} takes NAME=VALUE, not {value!r}.", f"{option}에는 NAME=VALUE를 쓰십시오: {value!r}"
            )
        found[name] = text
    return found


def gpu_class_fields(values: list[str] | None) -> dict[str, Any]:
    """Fields of a job file from options like ``h100`` and ``a100=0.45``, instead of all that a file says of classes."""
    from scheduler.cli.failure import usage_failure

    if not values:
        return {}
    speeds: dict[str, float] = {}
    for name, equals, text in (value.partition("=") for value in values):
        try:
            speeds |= {name: float(text)} if equals else {}
        except ValueError:
            raise usage_failure(
                f"--gpu-class takes CLASS or CLASS=SPEED, as a100=0.45: {text!r} is no number.",
                f"--gpu-class에는 종류나 종류=속도를 a100=0.45처럼 쓰십시오. {text!r}은(는) 수가 아닙니다.",
            ) from None
    return {"gpu_classes": [value.partition("=")[0] for value in values], "speeds": speeds}


def strip_none(document: dict[str, Any]) -> dict[str, Any]:
    """Leave out what was not given, so that the server's defaults hold."""
    return {name: value for name, value in document.items() if value is not None}
