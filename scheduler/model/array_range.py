"""Which tasks a job array has, and how many of them may run at once: ``0-99%10``, ``1,4-9``, ``0-30:10``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydantic_core import PydanticCustomError

#: More than one transaction writes well.
ARRAY_TASKS_MAX = 5_000
ARRAY_PATTERN = (
    r"^[0-9]{1,6}(-[0-9]{1,6}(:[0-9]{1,6})?)?(,[0-9]{1,6}(-[0-9]{1,6}(:[0-9]{1,6})?)?){0,999}(%[0-9]{1,6})?$"
)


@dataclass(frozen=True, slots=True)
class ArrayRange:
    """``tasks`` are the indices, ascending; ``running_max`` of them run at once, None: as many as may be."""

    tasks: tuple[int, ...]
    running_max: int | None

    @staticmethod
    def read(text: str) -> ArrayRange:
        """Read a text of the form ``ARRAY_PATTERN``. Raises ``PydanticCustomError`` for one that makes no array."""
        if not re.fullmatch(ARRAY_PATTERN, text):
            raise PydanticCustomError("array", "write a range like 0-99, 1,4-9 or 0-99%10")
        indices, _, most = text.partition("%")
        parts = [_part(part) for part in indices.split(",")]
        count = sum(map(len, parts))
        if count > ARRAY_TASKS_MAX:
            raise PydanticCustomError(
                "array_size",
                "it has {count} tasks, more than {most}: submit several arrays",
                {"count": count, "most": ARRAY_TASKS_MAX},
            )
        tasks = sorted({index for part in parts for index in part})
        if len(tasks) < count:
            raise PydanticCustomError("array_repeated", "name each task once")
        if most and int(most) == 0:
            raise PydanticCustomError("array_idle", "at least one task has to run: write %1 or more, or leave it out")
        return ArrayRange(tuple(tasks), int(most) if most else None)


def _part(text: str) -> range:
    span, _, step = text.partition(":")
    first, _, last = span.partition("-")
    if step and int(step) == 0:
        raise PydanticCustomError("array_step", "the step after the colon has to be 1 or more")
    if last and int(last) < int(first):
        raise PydanticCustomError(
            "array_swapped", "{last} comes before {first}: swap them", {"first": first, "last": last}
        )
    return range(int(first), int(last or first) + 1, int(step or 1))
