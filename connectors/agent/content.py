"""Working directories fetched by digest, verified, and kept for the next run that names them."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from connectors.agent.transport import Transport
from connectors.errors import ConnectorError

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
FETCHES_AT_ONCE = 2


class ContentCache:
    """Archives in a folder, named by digest. Fetches run in threads of their own; ``wake`` is called as
    each ends.
    """

    def __init__(self, folder: Path, transport: Transport, *, bytes_max: int, wake: Callable[[], None]) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._transport = transport
        self._bytes_max = bytes_max
        self._threads = ThreadPoolExecutor(FETCHES_AT_ONCE, thread_name_prefix="dure-content")
        self._fetches: dict[str, Future[None]] = {}
        self._wake = wake

    def find(self, digest: str) -> Path | None:
        """The archive if it is here; else None, and it is being fetched.

        Raises what an ended fetch raised (once: the next call fetches again).
        """
        if not DIGEST.fullmatch(digest):
            raise ConnectorError(f"{digest[:80]!r} is no digest")
        path = self._folder / digest.replace(":", "-")
        fetch = self._fetches.get(digest)
        if fetch is not None:
            if not fetch.done():
                return None
            del self._fetches[digest]
            fetch.result()
        if path.exists():
            path.touch()
            return path
        self._fetches[digest] = self._threads.submit(self._fetch, digest, path)
        return None

    def _fetch(self, digest: str, path: Path) -> None:
        try:
            self._transport.fetch_content(digest, path)
            self._make_room(path)
        finally:
            self._wake()

    def _make_room(self, newest: Path) -> None:
        """Drop what was used longest ago above the limit; a run unpacks its copy once, when it starts."""
        kept = sorted(self._folder.glob("sha256-*"), key=lambda path: path.stat().st_mtime_ns)
        total = sum(path.stat().st_size for path in kept)
        for path in kept:
            if total <= self._bytes_max or path == newest:
                break
            total -= path.stat().st_size
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Wait for fetches under way."""
        self._threads.shutdown(wait=True, cancel_futures=True)
