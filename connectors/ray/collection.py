"""The outputs of a run: an archive from each worker that was asked for one, and the one archive that is made of them."""

from __future__ import annotations

import gzip
import json
import os
import re
import tarfile
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from connectors.agent.archive import UNREADABLE, list_names
from connectors.protocol import Outputs
from connectors.ray.left_files import Answer, LeftFile, LeftFiles, TakenFile

#: What an archive of outputs may be larger than the files in it: their names, and what does not compress.
ARCHIVE_BYTES_BESIDE = 64 << 20
NAME_CHARACTERS_MAX = 4096


class PartUnreadable(Exception):
    """The archive of this worker is damaged."""

    def __init__(self, rank: int) -> None:
        super().__init__(rank)
        self.rank = rank


class Collection:
    """What one gang's workers left, in the run's folder. Thread-safe; what a worker heard is known after a restart.

    No archive is ever held in memory, and what a worker says of its own is not believed: the one archive has no file that
    was not asked for, and none that is larger than was told, unless it is a single worker's, which is left as it came.
    """

    def __init__(self, folder: Path, bytes_max: int) -> None:
        self._folder = folder
        self._bytes_max = bytes_max
        self._lock = threading.Lock()
        self._known: LeftFiles | None = None

    @property
    def _journal(self) -> Path:
        return self._folder / "left"

    @property
    def _whole(self) -> Path:
        return self._folder / "outputs.tar.gz"

    def part(self, rank: int) -> Path:
        """Where a worker's own archive lies."""
        return self._folder / f"outputs-{rank}.tar.gz"

    def part_bytes_max(self, rank: int) -> int:
        """How large a worker's own archive may be."""
        with self._lock:
            size = self._files().sent_bytes(rank)
        return size + size // 64 + ARCHIVE_BYTES_BESIDE

    def ask(self, files: Iterable[LeftFile]) -> list[Answer]:
        """Which files a worker is to send; on the disk when it returns. Raises OSError."""
        lines: list[bytes] = []
        with self._lock:
            known, answers = self._files(), []
            for file in files:
                before = known.changes
                answers.append(known.tell(file))
                if known.changes > before:
                    lines.append(json.dumps([file.rank, file.name, file.bytes, file.digest]).encode() + b"\n")
            if lines:
                with self._journal.open("ab") as journal:
                    journal.write(b"".join(lines))
                    journal.flush()
                    os.fsync(journal.fileno())
        return answers

    def _files(self) -> LeftFiles:
        if self._known is None:
            known = LeftFiles(self._bytes_max)
            with suppress(FileNotFoundError):
                content = self._journal.read_bytes()
                whole = content.rfind(b"\n") + 1
                if whole < len(content):  # a crash cut it short: nobody was answered on its word
                    os.truncate(self._journal, whole)
                for line in content[:whole].splitlines():
                    with suppress(ValueError):
                        rank, *told = json.loads(line)
                        known.tell(_file_of(rank, told))
            self._known = known
        return self._known

    def _arrived(self) -> set[int]:
        return {rank for rank in self._files().senders if self.part(rank).exists()}

    def left_out(self) -> list[str]:
        """Sentences, for the job's owner, about what was asked for and is not taken."""
        with self._lock:
            files, arrived = self._files(), self._arrived()
        beyond: dict[int, list[str]] = {}
        for rank, name in files.displaced(arrived):
            beyond.setdefault(rank, []).append(name)
        limit = f"outputs left out, above the limit of {self._bytes_max} bytes"
        return [
            *(f"worker {rank}: {limit}: {list_names(names)}" for rank, names in beyond.items()),
            *(f"worker {rank}: outputs left out, they did not arrive" for rank in sorted(files.senders - arrived)),
        ]

    def archive(self) -> Outputs:
        """The one archive, made where it is not there yet. Raises OSError where this machine is at fault."""
        with self._lock:
            if self._whole.exists():
                return Outputs(archive=self._whole)
            arrived, damaged = self._arrived(), []
            while True:
                try:
                    made = self._make(arrived)
                    break
                except PartUnreadable as part:
                    arrived.discard(part.rank)
                    damaged.append(f"worker {part.rank}: outputs left out, their archive is damaged")
            for rank in self._files().senders if made else ():
                self.part(rank).unlink(missing_ok=True)
        return Outputs(archive=self._whole if made else None, message="; ".join(damaged))

    def _make(self, arrived: set[int]) -> bool:
        """Whether there was anything to make it of."""
        taken = self._files().taken(arrived)
        if len(arrived) == 1 and not self._files().displaced(arrived) and all(f.name == f.named for f in taken):
            self.part(next(iter(arrived))).replace(self._whole)
        elif taken:
            beside = self._folder / "outputs.new"
            with tarfile.open(beside, "w:gz", compresslevel=3) as whole:
                for rank in sorted(arrived):
                    wanted = {(file.name, file.bytes): file for file in taken if file.sender == rank}
                    self._copy(rank, wanted, whole)
            beside.replace(self._whole)
        return bool(taken)

    def _copy(self, rank: int, wanted: Mapping[tuple[str, int], TakenFile], whole: tarfile.TarFile) -> None:
        left = dict(wanted)
        try:
            with gzip.open(self.part(rank)) as unpacked, tarfile.open(fileobj=unpacked, mode="r:") as part:
                for member in part:
                    file = left.pop((member.name, member.size), None) if member.isreg() else None
                    if file is None:
                        continue
                    named = tarfile.TarInfo(file.named)
                    named.size, named.mtime, named.mode = (
                        member.size,
                        member.mtime,
                        0o755 if member.mode & 0o100 else 0o644,
                    )
                    whole.addfile(named, part.extractfile(member))
                # Its checksum stands at its end.
                while unpacked.read(1 << 20):
                    pass
        except UNREADABLE as fault:
            raise PartUnreadable(rank) from fault
        except OSError as fault:
            # What is wrong with the archive is said by an OSError that names no fault of the system.
            if fault.errno is None:
                raise PartUnreadable(rank) from fault
            raise


def files_of(rank: int, told: Any) -> list[LeftFile]:
    """The files that a worker tells of: name, bytes and SHA-256 each. Raises ValueError, or TypeError, for anything else."""
    return [_file_of(rank, each) for each in told]


def _file_of(rank: int, told: Any) -> LeftFile:
    name, size, digest = told
    usable = isinstance(name, str) and 0 < len(name) <= NAME_CHARACTERS_MAX and "\0" not in name
    if not usable or not {"", ".", ".."}.isdisjoint(name.split("/")):
        raise ValueError("no name of a file in the working directory")
    if type(size) is not int or size < 0:
        raise ValueError("no size")
    if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise ValueError("no digest")
    return LeftFile(rank, name, size, digest)
