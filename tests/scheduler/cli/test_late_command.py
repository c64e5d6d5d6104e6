"""Commands that are read when they are used look, and complete, as if they had been there from the beginning."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from scheduler.cli.app import app
from scheduler.cli.late_command import LateCommand

#: What ``dure --help`` has no need of: parsers of other formats, the network, and the modules of commands.
NOT_NEEDED = ("markdown_it", "pygments", "httpx", "pydantic", "yaml", "scheduler.cli.jobs", "scheduler.cli.sites")


def stand_ins() -> list[LateCommand]:
    root: Any = get_command(app)
    return [each for each in root.commands.values() if isinstance(each, LateCommand)]


@pytest.mark.parametrize("late", stand_ins(), ids=lambda late: str(late.name))
def test_what_the_list_of_commands_says_of_one_is_what_it_says_of_itself(late: LateCommand) -> None:
    assert (late.real.name, late.real.help) == (late.name, late.help)
    assert (bool(late.real.hidden), bool(late.real.deprecated)) == (late.hidden, late.deprecated)


def test_help_of_all_commands_reads_none_of_them() -> None:
    code = "import sys\nfrom scheduler.main import app\ntry: app(['--help'])\nfinally: print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "submit" in done.stdout
    assert set(NOT_NEEDED) & set(done.stderr.split()) == set()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("dure si", {"site", "simulate"}),
        ("dure site node ", {"list", "set-aside", "return"}),
        ("dure queue --st", {"--state"}),
        ("dure submit --gr", {"--group"}),
    ],
)
def test_the_shell_completes_words_of_commands_that_were_not_read_yet(words: str, offered: set[str]) -> None:
    from scheduler.main import app as program

    asked = {"_DURE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = CliRunner().invoke(program, [], env=asked, prog_name="dure")
    assert set(done.output.split()) == offered
