"""What a run's workers told last, on the disk before anybody hears that it was told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from connectors.agent.durable import write_durably

Word = dict[str, Any]

#: The year 2286: what is beyond is no time of a run.
TIME_MS_MAX = 9_999_999_999_999
EXIT_CODE_MAX = 255
TEXT_CHARACTERS_MAX = 4000
_NUMBERS = {"started_ms": TIME_MS_MAX, "ended_ms": TIME_MS_MAX, "exit_code": EXIT_CODE_MAX}
_TEXTS = ("phase", "cause", "message", "left_out")


def word_of(value: object) -> Word | None:
    """What can be meant by something that a worker told; None where it is no word at all.

    The job's own command can write over what its supervisor wrote: what is no time, no exit code or no text is left out.
    """
    if not isinstance(value, dict):
        return None
    word: Word = {}
    for name, most in _NUMBERS.items():
        number = value.get(name)
        if isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= most:
            word[name] = number
    for name in _TEXTS:
        text = value.get(name)
        if isinstance(text, str):
            word[name] = text[:TEXT_CHARACTERS_MAX]
    return word


class Words:
    """One file a worker in the run's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[int, Word] = {}

    def keep(self, rank: int, word: Word) -> None:
        """Replace a worker's word where it is a new one. Raises OSError."""
        if self._kept.get(rank) != word:
            write_durably(self._file(rank), json.dumps(word).encode())
            self._kept[rank] = word

    def read(self, rank: int) -> Word | None:
        """What a worker told an earlier agent; None where that cannot be read: a living worker tells it again."""
        try:
            word = json.loads(self._file(rank).read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
        return word_of(word)

    def _file(self, rank: int) -> Path:
        return self._folder / f"report-{rank}.json"
