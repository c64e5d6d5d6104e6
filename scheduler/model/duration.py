"""Lengths of time as people write them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from pydantic import WithJsonSchema
from pydantic_core import PydanticCustomError

DURATION_PATTERN = r"^\s*(\d{1,9}|(\d{1,9}\s*[smhdw]\s*)+|(\d{1,4}-)?\d{1,4}:\d{1,2}:\d{1,2})\s*$"
_DURATION_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def number_or_text(minimum: int, maximum: int, pattern: str) -> WithJsonSchema:
    """What may be written: the number itself, or a text with units."""
    number = {"type": "integer", "minimum": minimum, "maximum": maximum}
    return WithJsonSchema({"anyOf": [number, {"type": "string", "pattern": pattern}]})


def parse_duration_seconds(value: Any) -> Any:
    """Read ``90``, ``"90s"``, ``"1h30m"``, ``"2d"``, ``"HH:MM:SS"`` or ``"D-HH:MM:SS"`` as whole seconds.

    Anything that is not text is handed on unchanged for the schema to judge.
    """
    return _seconds_of(value) if isinstance(value, str) else value


@lru_cache(maxsize=4096)
def _seconds_of(value: str) -> int:
    text = value.strip()
    clock = re.fullmatch(r"(?:(\d{1,4})-)?(\d{1,4}):(\d{1,2}):(\d{1,2})", text)
    if clock:
        days, hours, minutes, seconds = (int(part or 0) for part in clock.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    parts = re.findall(r"(\d{1,9})\s*([smhdw])", text)
    if parts and re.fullmatch(r"(?:\d{1,9}\s*[smhdw]\s*)+", text):
        return sum(int(number) * _DURATION_UNITS[unit] for number, unit in parts)
    if re.fullmatch(r"\d{1,9}", text):
        return int(text)
    raise PydanticCustomError("duration", "write a duration like 90s, 1h30m, 2d or 02:30:00")
