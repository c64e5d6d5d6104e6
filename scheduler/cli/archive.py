"""The working directory as an archive whose bytes depend on its content alone, so that it is uploaded once."""

from __future__ import annotations

import fnmatch
import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

from scheduler.cli.failure import usage_failure
from scheduler.cli.language import say
from scheduler.cli.output import write_note

ARCHIVE_BYTES_MAX = 256 * 1024 * 1024
IGNORED_ALWAYS = (".git", ".hg", ".svn", "__pycache__", ".venv", "node_modules", ".mypy_cache", ".pytest_cache")
IGNORE_FILE = ".dureignore"


def archive_directory(directory: Path) -> tuple[str, bytes]:
    """Pack ``directory`` as tar.gz without times, owners or order of the file system; answer (digest, bytes).

    Left out: version control, caches, and the patterns of ``.dureignore`` (one a line, as in a shell); also pipes,
    sockets and devices, which is told. Links are kept as links when they stay inside, and refused otherwise.
    """
    if not directory.is_dir():
        raise usage_failure(
            f"working_directory {directory} is not a folder: name one that exists.",
            f"working_directory {directory} 폴더가 없습니다. 있는 폴더를 쓰십시오.",
        )
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, compresslevel=6) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in _files(directory):
            archive.inodes.clear()  # type: ignore[attr-defined]  # else a second name of a file would be a mere link
            if not _add(archive, directory, path):
                write_note(say(f"Left out: {path} is no file.", f"파일이 아니어서 뺐습니다: {path}"))
            if buffer.tell() > ARCHIVE_BYTES_MAX:
                raise usage_failure(
                    f"{directory} is larger than {ARCHIVE_BYTES_MAX} bytes when packed: leave data out with "
                    f"{IGNORE_FILE}.",
                    f"{directory} 폴더를 압축하면 {ARCHIVE_BYTES_MAX}바이트를 넘습니다. {IGNORE_FILE}로 자료를 빼십시오.",
                )
    data = buffer.getvalue()
    return f"sha256:{hashlib.sha256(data).hexdigest()}", data


def _files(directory: Path) -> Iterator[Path]:
    ignore_file = directory / IGNORE_FILE
    patterns = list(IGNORED_ALWAYS)
    if ignore_file.is_file():
        try:
            lines = ignore_file.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError as unreadable:
            raise usage_failure(
                f"{ignore_file} is not UTF-8: write it anew.", f"{ignore_file} 파일이 UTF-8이 아닙니다. 다시 쓰십시오."
            ) from unreadable
        patterns += [line.strip().rstrip("/") for line in lines if line.strip() and not line.startswith("#")]

    def ignored(path: Path) -> bool:
        relative = path.relative_to(directory).as_posix()
        return any(fnmatch.fnmatch(path.name, one) or fnmatch.fnmatch(relative, one) for one in patterns)

    for folder, folders, files in os.walk(directory, onerror=_refuse_unreadable):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if not ignored(here / name))
        for name in sorted(files + folders):
            if not ignored(here / name):
                yield here / name


def _refuse_unreadable(fault: OSError) -> None:
    raise fault


def _leads_outside(directory: Path, path: Path) -> bool:
    """Whether a link is absolute, goes in circles, or points out of ``directory``."""
    target = Path(os.path.realpath(path))
    inside = target.is_relative_to(os.path.realpath(directory))
    return not inside or path.readlink().is_absolute() or target.is_symlink()


def _add(archive: tarfile.TarFile, directory: Path, path: Path) -> bool:
    entry = archive.gettarinfo(str(path), arcname=path.relative_to(directory).as_posix())
    if entry is None:
        return False
    if entry.issym() and _leads_outside(directory, path):
        raise usage_failure(
            f"{path} is a link that leads nowhere inside the working directory: copy the file in, or name it in {IGNORE_FILE}.",
            f"{path} 링크가 작업 폴더 밖을 가리킵니다. 파일을 복사하거나 {IGNORE_FILE}에 적으십시오.",
        )
    if not (entry.isreg() or entry.issym() or entry.isdir()):
        return False
    entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname = 0, 0, 0, "", ""
    entry.mode = 0o755 if entry.mode & 0o111 else 0o644
    if not entry.isreg():
        archive.addfile(entry)
        return True
    with path.open("rb") as file:
        archive.addfile(entry, file)
    return True
