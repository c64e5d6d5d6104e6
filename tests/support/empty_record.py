"""An empty record on SQLite: migrated once in a process, and copied wherever a test wants one."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from scheduler.clock import ManualClock
from scheduler.store.database import Database


def put_empty_record(file: Path) -> None:
    """Write what migrating a new ``file`` would. Raises FileExistsError."""
    with file.open("xb") as made:
        made.write(_migrated())


@cache
def _migrated() -> bytes:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "record.sqlite"
        database = Database(f"sqlite:///{file}", clock=ManualClock())
        database.migrate()
        database.close()
        # Closing the last connection has put the write-ahead log into the file itself.
        assert [each.name for each in Path(folder).iterdir()] == [file.name]
        return file.read_bytes()
