"""Files that users write in YAML or JSON: read, and refused by name where they cannot be sent."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scheduler.cli.failure import usage_failure

FILE_BYTES_MAX = 1024 * 1024
VALUES_MAX = 100_000
DEPTH_MAX = 32

#: What the makers of dates and numbers raise when a text only looks like one.
_FAULTS_OF_TAGS = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)

#: What a file should have been, English and Korean.
Noun = tuple[str, str]


def read_document(path: Path, noun: Noun) -> Any:
    """The plain values in a YAML file, or a JSON file where its name ends so."""
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as unreadable:
        raise usage_failure(
            f"{path} cannot be read: {unreadable}", f"{path} 파일을 읽을 수 없습니다: {unreadable}"
        ) from unreadable
    if len(text) > FILE_BYTES_MAX:
        raise usage_failure(f"{path} is no {noun[0]}: it is too long.", f"{path}: {noun[1]}이라기에는 너무 깁니다.")
    try:
        if path.suffix == ".json":
            return json.loads(text)
        return yaml.safe_load(text)
    except (yaml.YAMLError, *_FAULTS_OF_TAGS) as broken:
        raise usage_failure(*_broken(path, broken)) from broken


def _broken(path: Path, broken: Exception) -> tuple[str, str]:
    name, line = "YAML", 0
    if isinstance(broken, json.JSONDecodeError):
        name, line = "JSON", broken.lineno
    elif (mark := getattr(broken, "problem_mark", None)) is not None:
        line = mark.line + 1
    where = f" (line {line})" if line else ""
    where_ko = f"({line}번째 줄)" if line else ""
    return f"{path} is not {name}{where}: {broken}", f"{path}: {name} 형식이 아닙니다{where_ko}."


def refuse_what_cannot_be_sent(path: Path, document: Mapping[str, Any], noun: Noun) -> None:
    """YAML has values that JSON lacks (dates, sets, bytes, not-a-number) and can hold itself; name the field."""
    left: list[tuple[str, Any, int]] = [("", document, 0)]
    for _ in range(VALUES_MAX):
        if not left:
            return
        where, value, depth = left.pop()
        if depth > DEPTH_MAX:
            break
        if isinstance(value, dict) and all(isinstance(name, str | int) for name in value):
            left += [(f"{where}.{name}" if where else str(name), each, depth + 1) for name, each in value.items()]
        elif isinstance(value, list):
            left += [(f"{where}.{index}", each, depth + 1) for index, each in enumerate(value)]
        elif not _can_be_sent(value):
            raise usage_failure(
                f"{path}: {where} is read as {type(value).__name__}: put it in quotes to mean the text.",
                f"{path}: {where} 값이 {type(value).__name__}(으)로 읽힙니다. 글자로 쓰려면 따옴표로 묶으십시오.",
            )
    raise usage_failure(
        f"{path} is no {noun[0]}: it is nested too deep or repeats itself.",
        f"{path}: {noun[1]}이라기에는 너무 깊거나 자신을 되풀이합니다.",
    )


def _can_be_sent(value: object) -> bool:
    if isinstance(value, str):
        return all(not "\ud800" <= letter <= "\udfff" for letter in value)
    return value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
