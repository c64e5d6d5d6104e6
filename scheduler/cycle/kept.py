"""What rounds after one another find the same, each answer beside all that it was worked out from."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar, cast

Answer = TypeVar("Answer")


class Kept:
    """Answers by name, the last one of each. One is given again only where everything that it follows from is equal."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[tuple[object, ...], object]] = {}

    def of(self, name: Hashable, causes: tuple[object, ...], work_out: Callable[[], Answer]) -> Answer:
        """The answer to ``causes``: ``work_out`` reads nothing but them, and nobody ever changes what it answers,
        unless to remember more that follows from the same causes."""
        known = self._known.get(name)
        if known is not None and known[0] == causes:
            return cast(Answer, known[1])
        answer = work_out()
        self._known[name] = causes, answer
        return answer
