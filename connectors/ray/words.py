"""What a run's workers told last, on the disk before anybody hears that it was told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from connectors.agent.durable import write_durably

Word = dict[str, Any]


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
        return word if isinstance(word, dict) else None

    def _file(self, rank: int) -> Path:
        return self._folder / f"report-{rank}.json"
