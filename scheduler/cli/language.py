"""Korean or English: chosen once from ``--lang``, else the environment's locale."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

_chosen: list[str] = []


def choose_language(language: str | None) -> None:
    """Fix the language; None reads ``LC_ALL``, ``LC_MESSAGES`` and ``LANG`` in that order."""
    if language is None:
        names = (os.environ.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
        language = "ko" if next((name for name in names if name), "").startswith("ko") else "en"
    _chosen[:] = [language]


def current_language() -> str:
    """``ko`` or ``en``."""
    if not _chosen:
        choose_language(None)
    return _chosen[0]


def say(english: str, korean: str) -> str:
    """One sentence in the chosen language."""
    return korean if current_language() == "ko" else english


def text_of(document: Mapping[str, Any], field: str = "text") -> str:
    """The field of a server's answer in the chosen language: ``text_ko`` beside ``text``."""
    korean = document.get(f"{field}_ko") if current_language() == "ko" else None
    return str(korean or document.get(field) or "")
