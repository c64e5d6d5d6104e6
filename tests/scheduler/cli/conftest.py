"""The command line against a server that is made up by the test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from scheduler.cli import language
from scheduler.cli.app import app
from scheduler.cli.client import Client
from scheduler.cli.profile import Profile


@pytest.fixture
def against(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """``against(respond, *words, lang="en")`` runs `dure` with ``words``; ``respond`` answers its requests."""
    monkeypatch.setattr(language, "_chosen", [])

    def run(respond: Callable[[httpx.Request], httpx.Response], *words: str, lang: str = "en") -> Any:
        profile = Profile(server="http://server", token="dure_x")
        monkeypatch.setattr(Client, "from_profile", lambda: Client(profile, httpx.MockTransport(respond)))
        return CliRunner().invoke(app, ["--lang", lang, *words])

    return run
