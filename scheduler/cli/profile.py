"""Where the user's server address and token are kept: XDG folders, the token readable by its owner alone."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from scheduler.cli.failure import EXIT_AUTHENTICATION, CommandFailure
from scheduler.cli.language import say

DEFAULT_SERVER = "http://127.0.0.1:8480"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A server and the token to use with it; the token may be missing before ``dure login``."""

    server: str
    token: str | None


def config_directory() -> Path:
    """``$XDG_CONFIG_HOME/dure``, else ``~/.config/dure``."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "dure"


def load_profile() -> Profile:
    """Read the profile; ``DURE_SERVER`` and ``DURE_TOKEN`` come before the files."""
    server = _from_environment("DURE_SERVER") or _stored_server()
    token = _from_environment("DURE_TOKEN") or _stored_token()
    return Profile(server=server.rstrip("/"), token=token)


def server_to_sign_in() -> str:
    """The server to sign in to when none is named. A stored one that cannot be read is no hindrance: signing in
    writes it anew."""
    named = _from_environment("DURE_SERVER")
    if named is None:
        try:
            named = _stored_server()
        except CommandFailure:
            named = DEFAULT_SERVER
    return named


def _from_environment(name: str) -> str | None:
    return os.environ.get(name, "").strip() or None


def _stored_server() -> str:
    path = config_directory() / "config.json"
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["server"])
    except FileNotFoundError:
        return DEFAULT_SERVER
    except (ValueError, KeyError, TypeError) as broken:
        raise _unreadable(path) from broken


def _stored_token() -> str | None:
    path = config_directory() / "token"
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as broken:
        raise _unreadable(path) from broken


def _unreadable(path: Path) -> CommandFailure:
    return CommandFailure(
        EXIT_AUTHENTICATION,
        say(
            f"{path} cannot be read: run `dure login` again.",
            f"{path} 파일을 읽을 수 없습니다. `dure login`을 다시 실행하십시오.",
        ),
    )


def save_profile(profile: Profile) -> Path:
    """Write the profile; the token's file is created with mode 0600, never widened and narrowed again."""
    directory = config_directory()
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    (directory / "config.json").write_text(json.dumps({"server": profile.server}) + "\n", encoding="utf-8")
    token_file = directory / "token"
    fresh = directory / f"token.{os.getpid()}"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write((profile.token or "") + "\n")
    fresh.replace(token_file)
    return token_file


def forget_token() -> bool:
    """Remove the stored token; False when there was none."""
    token_file = config_directory() / "token"
    existed = token_file.exists()
    token_file.unlink(missing_ok=True)
    return existed
