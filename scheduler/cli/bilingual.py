"""Help and usage errors in the user's language: the parser's own English is put into Korean at the edge."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from typer.core import TyperGroup

from scheduler.cli.help_page import rich_utils
from scheduler.cli.language import choose_language, current_language

#: What the parser says, in the order in which it is looked for.
_ERRORS: tuple[tuple[str, str], ...] = (
    (r"No such option: (?P<a>\S+)(?P<rest>.*)", "{a} 옵션이 없습니다.{rest}"),
    (r"No such command '(?P<a>.*?)'\.(?P<rest>.*)", "'{a}' 명령이 없습니다.{rest}"),
    (r"Missing argument '(?P<a>.*?)'\.?(?P<rest>.*)", "인자 '{a}'을(를) 쓰십시오.{rest}"),
    (r"Missing option '(?P<a>.*?)'\.?(?P<rest>.*)", "옵션 '{a}'을(를) 쓰십시오.{rest}"),
    (r"Missing command\.", "명령을 쓰십시오."),
    (r"Option '?(?P<a>\S+?)'? requires an argument\.", "{a} 옵션에는 값이 있어야 합니다."),
    (r"Option '?(?P<a>\S+?)'? does not take a value\.", "{a} 옵션에는 값을 쓰지 않습니다."),
    (r"Got unexpected extra argument\S* \((?P<a>.*)\)", "쓸 데 없는 인자가 있습니다({a}). 빼거나 따옴표로 묶으십시오."),
    (r"Invalid value for (?P<a>.+?): (?P<inner>.*)", "{a} 값이 올바르지 않습니다: {inner}"),
    (r"Invalid value: (?P<inner>.*)", "값이 올바르지 않습니다: {inner}"),
)
#: What it says of a value.
_VALUES: tuple[tuple[str, str], ...] = (
    (r"Input should be greater than or equal to (?P<a>\S+)", "{a} 이상을 쓰십시오"),
    (r"Input should be less than or equal to (?P<a>\S+)", "{a} 이하를 쓰십시오"),
    (r"Input should be a valid integer.*", "정수를 쓰십시오"),
    (r"Unable to parse input string as an integer.*", "더 작은 정수를 쓰십시오"),
    (r"Input should be a valid number.*", "수를 쓰십시오"),
    (r"Input should be a finite number.*", "유한한 수를 쓰십시오"),
    (r"Input should be a valid boolean.*", "true나 false를 쓰십시오"),
    (r"Input is not a valid path.*", "경로를 쓰십시오"),
    (r"(?P<a>.*) is not one of (?P<b>.*?)\.?", "{a} 대신 다음 중 하나를 쓰십시오: {b}"),
    (r"Did you mean (?P<a>.*)\?", "혹시 {a}입니까?"),
    (r"\(Possible options: (?P<a>.*)\)", "비슷한 옵션: {a}"),
    (r"Choose from:(?P<a>.*)", "다음 중 하나를 쓰십시오:{a}"),
)
#: Headings and notes of help pages, by the name they have in the library.
_WORDS: Mapping[str, str] = {
    "DEFAULT_STRING": "[기본값: {}]",
    "ENVVAR_STRING": "[환경 변수: {}]",
    "REQUIRED_LONG_STRING": "[필수]",
    "ARGUMENTS_PANEL_TITLE": "인자",
    "OPTIONS_PANEL_TITLE": "옵션",
    "COMMANDS_PANEL_TITLE": "명령",
    "ERRORS_PANEL_TITLE": "오류",
    "ABORTED_TEXT": "중단했습니다.",
    "RICH_HELP": "도움말: [blue]'{command_path} {help_option}'[/]",
}
_ENGLISH: Mapping[str, str] = {name: getattr(rich_utils, name) for name in _WORDS}


class BilingualGroup(TyperGroup):
    """The root of the command tree. The language is chosen before anything is parsed, so that it holds for all of it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Choose the language and put the tree into it; then parse."""
        choose_language(_asked_for(args))
        korean = current_language() == "ko"
        for name, word in _WORDS.items():
            setattr(rich_utils, name, word if korean else _ENGLISH[name])
        if korean:
            translate(self)
        rest: list[str] = _told_in_korean(lambda: super(BilingualGroup, self).parse_args(ctx, args))
        return rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for; its parser's refusals are told in the chosen language."""
        return _told_in_korean(lambda: super(BilingualGroup, self).invoke(ctx))


def _asked_for(args: list[str]) -> str | None:
    """The language that ``--lang`` names before any command; None where it names none that there is."""
    for index, word in enumerate(args):
        if not word.startswith("-"):
            return None
        name, equals, value = word.partition("=")
        if name == "--lang":
            value = value if equals else args[index + 1] if index + 1 < len(args) else ""
            return value if value in ("ko", "en") else None
    return None


def _told_in_korean(act: Any) -> Any:
    from typer._click.exceptions import UsageError

    try:
        return act()
    except UsageError as refused:
        if current_language() != "ko" or refused.__class__.__name__ == "NoArgsIsHelpError":
            raise
        raise UsageError(korean_of(refused.format_message()), ctx=refused.ctx) from refused


def korean_of(message: str) -> str:
    """The parser's sentence in Korean; one that is not known here, or is Korean already, stays as it is."""
    return _first_that_fits(message.strip(), _ERRORS)


def _first_that_fits(message: str, patterns: tuple[tuple[str, str], ...]) -> str:
    for pattern, korean in patterns:
        found = re.fullmatch(pattern, message, re.DOTALL)
        if found:
            parts = found.groupdict()
            for name in ("rest", "inner"):
                if name in parts:
                    told = _first_that_fits(parts[name].strip(), _VALUES)
                    parts[name] = f" {told}" if name == "rest" and told else told
            return korean.format(**parts)
    return message


def translate(command: Any) -> None:
    """Put the help of a command, of its parameters and of all below it into Korean."""
    from scheduler.cli.help_korean import KOREAN

    make_help_option = command.get_help_option

    def help_option(ctx: Any) -> Any:
        option = make_help_option(ctx)
        if option is not None:
            option.help = KOREAN.get(option.help, option.help)
        return option

    command.get_help_option = help_option
    for each in (command, *command.params):
        for name in ("help", "short_help", "rich_help_panel"):
            text = getattr(each, name, None)
            if isinstance(text, str):
                setattr(each, name, KOREAN.get(text, text))
    for below in getattr(command, "commands", {}).values():
        translate(below)
