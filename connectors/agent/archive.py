"""Working directories in, outputs out: archives that can neither leave their folder nor outgrow their
limit.
"""

from __future__ import annotations

import errno
import fnmatch
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from connectors.errors import UnsafeArchive

MEMBERS_MAX = 200_000
UNPACKED_BYTES_MAX = 64 * 1024**3
#: What the libraries raise for archives that are damaged, encrypted, or of a kind that they do not know.
UNREADABLE = (
    *(tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError),
    *(RuntimeError, ValueError, LookupError),
)
#: Faults of the file system that the archive's own names bring about.
_NAMES_AT_FAULT = frozenset(
    {errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.EINVAL, errno.EILSEQ}
)


@dataclass(frozen=True, slots=True)
class Selection:
    """Files that an order's ``outputs`` match. ``names`` are relative to the working directory, sorted;
    ``left_out`` says for the job's owner what was not taken, and why.
    """

    names: tuple[str, ...]
    bytes: int
    left_out: str


def unpack(archive: Path, into: Path, *, bytes_max: int = UNPACKED_BYTES_MAX) -> None:
    """Unpack a tar (plain or compressed) or zip into ``into``, which is made where it is not there.

    Takes files, folders and links that stay inside. Raises UnsafeArchive for anything else, for more than
    ``bytes_max`` bytes, and for what cannot be read as an archive; OSError where the machine is at fault (the archive
    is not there, the disk is full). What was unpacked until then stays for the caller to remove.
    """
    into.mkdir(parents=True, exist_ok=True)
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                _unpack_zip(zipped, into, bytes_max)
        else:
            with tarfile.open(archive, "r:*") as tarred:
                _unpack_tar(tarred, into, bytes_max)
    except UNREADABLE as fault:
        raise UnsafeArchive(f"the working directory is no archive that can be read: {fault}") from fault
    except OSError as fault:
        # Decompressors say it with an OSError that names no fault of the system.
        if fault.errno is None or fault.errno in _NAMES_AT_FAULT:
            raise UnsafeArchive(f"the working directory cannot be unpacked: {fault}") from fault
        raise


def _unpack_tar(tarred: tarfile.TarFile, into: Path, bytes_max: int) -> None:
    links: list[tuple[Path, str]] = []
    left = bytes_max
    for number, member in enumerate(tarred):
        target = _place(into, member.name, number)
        if member.isdir():
            target.mkdir(parents=True, exist_ok=True)
        elif member.isfile():
            left = _afford(member.name, member.size, left)
            source = tarred.extractfile(member)
            assert source is not None
            _write(target, source, executable=bool(member.mode & stat.S_IXUSR))
        elif member.issym():
            links.append((target, member.linkname))
        else:
            raise UnsafeArchive(f"{member.name[:200]!r} is neither a file, a folder nor a symbolic link")
    # Links come last, so that no member is ever written through one.
    for target, points_to in links:
        _link(into, target, points_to)


def _unpack_zip(zipped: zipfile.ZipFile, into: Path, bytes_max: int) -> None:
    left = bytes_max
    for number, member in enumerate(zipped.infolist()):
        target = _place(into, member.filename, number)
        mode = member.external_attr >> 16
        if stat.S_ISLNK(mode):
            raise UnsafeArchive(f"{member.filename[:200]!r} is a link, which a zip may not carry here")
        if member.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        left = _afford(member.filename, member.file_size, left)
        with zipped.open(member) as source:
            _write(target, source, executable=bool(mode & stat.S_IXUSR))


def _place(into: Path, name: str, number: int) -> Path:
    """Where a member goes; refuses names that leave the folder."""
    if number >= MEMBERS_MAX:
        raise UnsafeArchive(f"the archive has more than {MEMBERS_MAX} members")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\x00" in name:
        raise UnsafeArchive(f"{name[:200]!r} would leave the working directory")
    return into / path


def _afford(name: str, size: int, left: int) -> int:
    if size > left:
        raise UnsafeArchive(f"the archive unpacks to more than the limit, at {name[:200]!r}")
    return left - size


def _write(target: Path, source: IO[bytes], *, executable: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        raise UnsafeArchive(f"{target.name[:200]!r} is both a file and a folder")
    with target.open("wb") as sink:
        shutil.copyfileobj(source, sink, 1024 * 1024)
    target.chmod(0o755 if executable else 0o644)


def _link(into: Path, target: Path, points_to: str) -> None:
    leads_to = (target.parent.resolve() / points_to).resolve()
    if PurePosixPath(points_to).is_absolute() or not leads_to.is_relative_to(into.resolve()):
        raise UnsafeArchive(f"the link {target.name[:200]!r} leads out of the working directory")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.symlink_to(points_to)


def select(directory: Path, patterns: Sequence[str], bytes_max: int) -> Selection:
    """Choose the files of ``directory`` that ``patterns`` match; any text is a pattern.

    ``*``, ``?`` and ``[]`` match within a name, ``**`` alone between slashes goes down any number of folders, and a
    folder stands for all in it. Files are taken in the order of their names while they fit in ``bytes_max``. A link to
    a file is taken as the file where that lies inside, and left out where it does not; links to folders are not
    followed. What cannot be read is left out too. Never raises.
    """
    root = directory.resolve()
    taken: list[str] = []
    too_large: list[str] = []
    outside: list[str] = []
    total = 0
    for name in sorted({name for pattern in patterns for name in _matches(root, pattern)}):
        try:
            path = (root / name).resolve(strict=True)
            status = path.stat()
        except (OSError, RuntimeError):  # the latter for a link that leads to itself
            continue
        if not path.is_relative_to(root):
            outside.append(name)
        elif stat.S_ISREG(status.st_mode):
            if total + status.st_size > bytes_max:
                too_large.append(name)
                continue
            taken.append(name)
            total += status.st_size
    return Selection(tuple(taken), total, _left_out(too_large, outside, bytes_max))


def _matches(root: Path, pattern: str) -> Iterator[str]:
    """Names below ``root``, of files and links. Each pair of a folder and a rest of the pattern is looked at once."""
    parts = tuple(part for part in pattern.split("/") if part not in ("", "."))
    if pattern.startswith("/") or ".." in parts:
        return
    waiting = [("", parts or ("**",))]
    seen = set(waiting)
    while waiting:
        folder, (head, *rest) = waiting.pop()
        further: list[tuple[str, tuple[str, ...]]] = []
        if head == "**" and rest:
            further.append((folder, tuple(rest)))
        for name, is_folder in _entries(root / folder):
            path = f"{folder}/{name}" if folder else name
            if head == "**":
                if is_folder:
                    further.append((path, (head, *rest)))
                elif not rest:
                    yield path
            elif fnmatch.fnmatchcase(name, head):
                if is_folder:
                    further.append((path, tuple(rest) or ("**",)))
                elif not rest:
                    yield path
        fresh = set(further) - seen
        seen |= fresh
        waiting += fresh


def _entries(folder: Path) -> list[tuple[str, bool]]:
    try:
        with os.scandir(folder) as entries:
            return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    except OSError:
        return []


def _left_out(too_large: list[str], outside: list[str], bytes_max: int) -> str:
    sentences = []
    if too_large:
        sentences.append(f"outputs left out, above the limit of {bytes_max} bytes: {list_names(too_large)}")
    if outside:
        sentences.append(f"outputs left out, links that leave the working directory: {list_names(outside)}")
    return "; ".join(sentences)


def list_names(names: list[str]) -> str:
    """Some of these names, and how many more there are."""
    shown = ", ".join(name[:80] for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def pack(directory: Path, patterns: Sequence[str], bytes_max: int, archive: Path) -> Selection:
    """Write the files ``select`` chooses to ``archive`` (tar.gz, whole or not at all). Nothing chosen: no
    file.
    """
    chosen = select(directory, patterns, bytes_max)
    if not chosen.names:
        return chosen
    beside = archive.with_name(archive.name + ".new")
    with tarfile.open(beside, "w:gz", compresslevel=3, dereference=True) as tarred:
        for name in chosen.names:
            tarred.add(directory / name, arcname=name, recursive=False)
    beside.replace(archive)
    return chosen
