"""The words of a report, whatever they were made of: names of files, what a supervisor or an engine said. Pure."""

from __future__ import annotations

CHARACTERS_MAX = 2000


def message_of(*parts: str) -> str:
    """The parts that are not empty, joined, as any server and any database takes it.

    A file's name need not be text, and a command may print a zero byte: what UTF-8 or SQL cannot hold is replaced
    by ``?``. At most ``CHARACTERS_MAX`` characters.
    """
    joined = "; ".join(part for part in parts if part)
    return joined.encode("utf-8", "replace").decode().replace("\0", "?")[:CHARACTERS_MAX]
