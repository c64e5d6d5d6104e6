"""Where server and token are kept."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from scheduler.cli.failure import EXIT_AUTHENTICATION, CommandFailure
from scheduler.cli.profile import (
    DEFAULT_SERVER,
    Profile,
    forget_token,
    load_profile,
    save_profile,
    server_to_sign_in,
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("DURE_TOKEN", raising=False)
    monkeypatch.delenv("DURE_SERVER", raising=False)
    return tmp_path


def test_without_anything_stored_the_local_server_is_meant_and_nobody_is_signed_in() -> None:
    assert load_profile() == Profile(server=DEFAULT_SERVER, token=None)


def test_what_was_saved_is_read_again() -> None:
    save_profile(Profile(server="https://dure.example", token="dure_x"))
    assert load_profile() == Profile(server="https://dure.example", token="dure_x")


def test_the_token_file_is_readable_by_its_owner_alone(home: Path) -> None:
    path = save_profile(Profile(server="https://dure.example", token="dure_x"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.parent == home / "dure"


def test_the_environment_comes_before_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    save_profile(Profile(server="https://dure.example", token="dure_x"))
    monkeypatch.setenv("DURE_TOKEN", "dure_y")
    monkeypatch.setenv("DURE_SERVER", "http://other/")
    assert load_profile() == Profile(server="http://other", token="dure_y")


def test_a_broken_file_says_what_to_do(home: Path) -> None:
    save_profile(Profile(server="https://dure.example", token="dure_x"))
    (home / "dure" / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(CommandFailure, match="dure login") as failure:
        load_profile()
    assert failure.value.exit_code == EXIT_AUTHENTICATION


def test_a_forgotten_token_is_gone() -> None:
    save_profile(Profile(server="https://dure.example", token="dure_x"))
    assert forget_token()
    assert load_profile().token is None
    assert not forget_token()


@pytest.mark.parametrize("stored", ["{", "[]", "{}", "\udcff"])
def test_signing_in_needs_no_readable_file(home: Path, stored: str) -> None:
    save_profile(Profile(server="https://dure.example", token="dure_x"))
    assert server_to_sign_in() == "https://dure.example"
    (home / "dure" / "config.json").write_bytes(stored.encode("utf-8", "surrogateescape"))
    assert server_to_sign_in() == DEFAULT_SERVER


def test_the_environment_comes_before_a_broken_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "dure").mkdir()
    (home / "dure" / "config.json").write_text("{", encoding="utf-8")
    (home / "dure" / "token").write_bytes(b"\xff")
    monkeypatch.setenv("DURE_TOKEN", "dure_y")
    monkeypatch.setenv("DURE_SERVER", "http://other/")
    assert load_profile() == Profile(server="http://other", token="dure_y")


def test_a_blank_token_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DURE_TOKEN", "  ")
    assert load_profile().token is None


def test_a_token_file_that_is_no_text_says_what_to_do(home: Path) -> None:
    (home / "dure").mkdir()
    (home / "dure" / "token").write_bytes(b"\xff")
    with pytest.raises(CommandFailure, match="dure login"):
        load_profile()
