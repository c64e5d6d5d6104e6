"""How a command ends badly: a message in the user's language and an exit code that scripts can rely on.

0 ok · 1 the job failed · 2 usage · 3 authentication · 4 not found · 5 refused by quota or policy · 6 conflict ·
7 timeout or server out of reach.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scheduler.cli.language import say, text_of

EXIT_JOB_FAILED = 1
EXIT_USAGE = 2
EXIT_AUTHENTICATION = 3
EXIT_NOT_FOUND = 4
EXIT_REFUSED = 5
EXIT_CONFLICT = 6
EXIT_TIMEOUT = 7

_EXIT_OF_STATUS = {
    400: EXIT_USAGE,
    401: EXIT_AUTHENTICATION,
    403: EXIT_AUTHENTICATION,
    404: EXIT_NOT_FOUND,
    405: EXIT_USAGE,
    409: EXIT_CONFLICT,
    412: EXIT_CONFLICT,
    413: EXIT_USAGE,
    415: EXIT_USAGE,
    422: EXIT_REFUSED,
    428: EXIT_USAGE,
    429: EXIT_TIMEOUT,
    503: EXIT_TIMEOUT,
}


class CommandFailure(Exception):
    """A command cannot do what it was asked; ``lines`` say why and what would mend it. ``code`` is the server's."""

    def __init__(self, exit_code: int, *lines: str, code: str | None = None) -> None:
        super().__init__("\n".join(lines))
        self.exit_code = exit_code
        self.lines = lines
        self.code = code


def usage_failure(english: str, korean: str) -> CommandFailure:
    """The command was called in a way it cannot serve."""
    return CommandFailure(EXIT_USAGE, say(english, korean))


def failure_of_fault(fault: OSError | UnicodeError) -> CommandFailure:
    """What the user's own machine refuses: a file, a full disk, text that is not UTF-8."""
    if isinstance(fault, UnicodeError):
        return usage_failure(
            f"Text that is not UTF-8 cannot be used: {fault}", f"UTF-8이 아닌 글은 쓸 수 없습니다: {fault}"
        )
    what = f"{fault.filename}: {fault.strerror}" if fault.filename is not None else str(fault.strerror or fault)
    return usage_failure(f"This machine refuses it: {what}", f"이 컴퓨터에서 할 수 없습니다: {what}")


def failure_of_address(server: str) -> CommandFailure:
    """Something answers at ``server``, but not as a federation does."""
    return CommandFailure(
        EXIT_TIMEOUT,
        say(
            f"{server} answers, but not as a federation's server does: check the address in `dure login --server`.",
            f"{server}은(는) 연합 서버로 응답하지 않습니다. `dure login --server`의 주소를 확인하십시오.",
        ),
    )


def failure_of_problem(status: int, problem: Mapping[str, Any]) -> CommandFailure:
    """Turn the server's problem document into words and an exit code."""
    lines = [text_of(problem, "detail") or text_of(problem, "title") or f"HTTP {status}"]
    errors = problem.get("errors")
    for error in errors if isinstance(errors, list) else ():
        if not isinstance(error, dict):
            continue
        message = text_of(error, "message")
        if message and message not in lines[0]:
            field = str(error.get("field") or "")
            lines.append(f"  {message}" if field in message else f"  {field}: {message}")
    if status >= 500 and problem.get("trace_id"):
        lines.append(
            say(
                f"Tell the operators: trace {problem['trace_id']}",
                f"운영자에게 알려 주십시오: trace {problem['trace_id']}",
            )
        )
    exit_code = _EXIT_OF_STATUS.get(status, EXIT_TIMEOUT if status >= 500 else EXIT_USAGE)
    return CommandFailure(exit_code, *lines, code=str(problem.get("code") or "") or None)
