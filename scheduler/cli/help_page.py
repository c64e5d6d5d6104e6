"""The library that draws help pages, read without what no page of ours needs.

``typer.rich_utils`` imports Markdown and coloured tracebacks, and with them a parser and a highlighter: a third of the time of
``dure --help``. The help of our commands is not Markdown, and our tracebacks are plain (``pretty_exceptions_enable``).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def _stood_for(names: dict[str, str]) -> Iterator[None]:
    """While this lasts each module of ``names`` that is not read yet is an empty one with a class of the name given."""
    absent = {module: name for module, name in names.items() if module not in sys.modules}
    for module, name in absent.items():
        stand_in = ModuleType(module)
        setattr(stand_in, name, type(name, (), {}))
        sys.modules[module] = stand_in
    try:
        yield
    finally:
        for module in absent:
            del sys.modules[module]


with _stood_for({"rich.markdown": "Markdown", "rich.traceback": "Traceback"}):
    from typer import rich_utils

__all__ = ["rich_utils"]
