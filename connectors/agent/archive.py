"""Working directories in, outputs out: archives that can neither leave their folder nor outgrow their
limit.
"""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from connectors.errors import UnsafeArchive

MEMBERS_MAX = 200_000
UNPACKED_BYTES_MAX = 64 * 1024**3


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
    ``bytes_max`` bytes, and for what is no archive; what was unpacked until then stays for the caller to
    remove.
    """
    into.mkdir(parents=True, exist_ok=True)
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                _unpack_zip(zipped, into, bytes_max)
        else:
            with tarfile.open(archive, "r:*") as tarred:
                _unpack_tar(tarred, into, bytes_max)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as fault:
        raise UnsafeArchive(f"the working directory is no archive that can be read: {fault}") from fault


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
    """Choose the files of ``directory`` that ``patterns`` match (``**`` goes down; a folder stands for all
    in it).

    Files are taken in the order of their names while they fit in ``bytes_max``. A link is taken as the
    file it leads to when that lies inside, and left out when it does not.
    """
    root = directory.resolve()
    taken: list[str] = []
    too_large: list[str] = []
    outside: list[str] = []
    total = 0
    for name in sorted(set(_matches(directory, patterns))):
        path = (root / name).resolve()
        if not path.is_relative_to(root):
            outside.append(name)
        elif path.is_file():
            size = path.stat().st_size
            if total + size > bytes_max:
                too_large.append(name)
                continue
            taken.append(name)
            total += size
    return Selection(tuple(taken), total, _left_out(too_large, outside, bytes_max))


def _matches(directory: Path, patterns: Iterable[str]) -> Iterator[str]:
    for pattern in patterns:
        if pattern.startswith("/") or ".." in pattern.split("/"):
            continue
        for path in directory.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                for folder, _, files in os.walk(path):
                    yield from (str((Path(folder) / name).relative_to(directory)) for name in files)
            else:
                yield str(path.relative_to(directory))


def _left_out(too_large: list[str], outside: list[str], bytes_max: int) -> str:
    sentences = []
    if too_large:
        sentences.append(f"outputs left out, above the limit of {bytes_max} bytes: {_list(too_large)}")
    if outside:
        sentences.append(f"outputs left out, links that leave the working directory: {_list(outside)}")
    return "; ".join(sentences)


def _list(names: list[str]) -> str:
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
