"""Help and usage errors speak the user's language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from scheduler.cli.bilingual import korean_of
from scheduler.cli.failure import EXIT_USAGE
from scheduler.cli.help_korean import KOREAN
from scheduler.main import app


def texts(command: Any) -> Iterator[str]:
    command = getattr(command, "real", command)
    for each in (command, *command.params):
        for name in ("help", "rich_help_panel"):
            if isinstance(getattr(each, name, None), str):
                yield getattr(each, name)
    for below in getattr(command, "commands", {}).values():
        yield from texts(below)


def test_every_text_of_every_command_has_its_korean() -> None:
    assert {text for text in texts(typer.main.get_command(app)) if text not in KOREAN} == set()


@pytest.mark.parametrize("path", [(), ("submit",), ("site", "register"), ("site", "operator"), ("up",)], ids=" ".join)
def test_help_is_korean_where_the_locale_is(path: tuple[str, ...]) -> None:
    korean = CliRunner().invoke(app, [*path, "--help"], env={"LC_ALL": "ko_KR.UTF-8", "COLUMNS": "200"})
    assert korean.exit_code == 0
    assert "옵션" in korean.output and "Options" not in korean.output and "Show this message" not in korean.output


def test_the_language_that_is_named_comes_before_the_locale() -> None:
    english = CliRunner().invoke(app, ["--lang", "en", "show", "--help"], env={"LC_ALL": "ko_KR.UTF-8"})
    korean = CliRunner().invoke(app, ["--lang=ko", "show", "--help"], env={"LC_ALL": "C"})
    assert "Options" in english.output and "옵션" in korean.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("submit --nothing", "--nothing 옵션이 없습니다"),
        ("nothing", "'nothing' 명령이 없습니다"),
        ("show", "쓰십시오"),
        ("show x", "정수"),
        ("show 0", "1 이상을"),
        ("submit --gpus 0 -- x", "1 이상을"),
        ("queue -o picture", "다음 중 하나를"),
        ("show 1 2", "쓸 데 없는 인자"),
        ("submit --gpus", "값이 있어야"),
        ("site register x", "--owner"),
        ("whoami --output=", "다음 중 하나를"),
    ],
)
def test_a_usage_error_is_korean_where_the_locale_is(words: str, told: str) -> None:
    done = CliRunner().invoke(app, words.split(), env={"LANG": "ko_KR.UTF-8", "LC_ALL": "", "COLUMNS": "200"})
    assert done.exit_code == EXIT_USAGE and told in done.output
    assert re.search("오류", done.output)
    assert not re.search("Missing|Invalid|No such|should be|not one of|unexpected", done.output)


#: None of these reaches a server or starts a process.
WORDS = st.lists(
    st.sampled_from(
        ["--group", "--gpus", "-o", "--limit", "--why", "--lang", "--rank", "=", "--", "-", "1", "-1", "ko"]
    )
    | st.text(max_size=8),
    max_size=4,
)


@given(st.sampled_from(["queue", "show", "why", "cancel", "quota", "group", "site", "token", "member"]), WORDS)
def test_any_words_are_taken_or_refused_without_a_traceback(name: str, words: list[str]) -> None:
    env = {"DURE_TOKEN": "", "XDG_CONFIG_HOME": "/nonexistent", "DURE_SERVER": "http://127.0.0.1:9"}
    done = CliRunner().invoke(app, [name, *words], env=env)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert done.output and "Traceback" not in done.output


@given(st.text(max_size=80))
def test_any_sentence_is_put_into_korean_or_stays(message: str) -> None:
    assert isinstance(korean_of(message), str)
