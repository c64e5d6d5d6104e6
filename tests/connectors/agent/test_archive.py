"""Archives can neither leave their folder nor outgrow their limit."""

from __future__ import annotations

import io
import random
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.agent.archive import pack, select, unpack
from connectors.errors import UnsafeArchive


def tar_of(path: Path, *members: tarfile.TarInfo, data: bytes = b"x" * 10) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            if member.isfile():
                member.size = len(data)
            archive.addfile(member, io.BytesIO(data) if member.isfile() else None)
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    return info


def test_a_tar_is_unpacked_with_folders_links_and_executables(tmp_path: Path) -> None:
    archive = tar_of(
        tmp_path / "a.tgz",
        member("deep/run.sh", mode=0o4755),
        member("link", tarfile.SYMTYPE, "deep/run.sh"),
        member("empty", tarfile.DIRTYPE),
    )
    unpack(archive, tmp_path / "out")
    assert (tmp_path / "out/link").read_bytes() == b"x" * 10
    assert (tmp_path / "out/deep/run.sh").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "out/empty").is_dir()


@pytest.mark.parametrize(
    "bad",
    [
        member("../out.txt"),
        member("/etc/dure"),
        member("a/../../b"),
        member("link", tarfile.SYMTYPE, "../../secret"),
        member("link", tarfile.SYMTYPE, "/etc/passwd"),
        member("hard", tarfile.LNKTYPE, "/etc/passwd"),
        member("pipe", tarfile.FIFOTYPE),
        member("disk", tarfile.BLKTYPE),
    ],
    ids=lambda info: f"{info.name}-{info.type.decode()}",
)
def test_members_that_leave_the_folder_or_are_no_files_are_refused(bad: tarfile.TarInfo, tmp_path: Path) -> None:
    with pytest.raises(UnsafeArchive):
        unpack(tar_of(tmp_path / "a.tgz", bad), tmp_path / "out")
    assert not (tmp_path / "out.txt").exists()


def test_nothing_is_written_through_a_link_of_the_same_archive(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    archive = tar_of(tmp_path / "a.tgz", member("into", tarfile.SYMTYPE, "../outside"), member("into/file"))
    with pytest.raises(UnsafeArchive):
        unpack(archive, tmp_path / "out")
    assert not list((tmp_path / "outside").iterdir())


def zip_of(path: Path, name: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, b"x" * 10)
    return path


def test_a_zip_is_unpacked_and_its_traversal_refused(tmp_path: Path) -> None:
    unpack(zip_of(tmp_path / "a.zip", "deep/file"), tmp_path / "out")
    assert (tmp_path / "out/deep/file").read_bytes() == b"x" * 10
    with pytest.raises(UnsafeArchive):
        unpack(zip_of(tmp_path / "b.zip", "../file"), tmp_path / "out")


@pytest.mark.parametrize("make", [lambda path: tar_of(path, member("a"), member("b")), lambda path: zip_of(path, "a")])
def test_what_unpacks_to_more_than_the_limit_is_refused(make: Callable[[Path], Path], tmp_path: Path) -> None:
    with pytest.raises(UnsafeArchive, match="limit"):
        unpack(make(tmp_path / "archive"), tmp_path / "out", bytes_max=9)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no archive")
    with pytest.raises(UnsafeArchive, match="no archive"):
        unpack(tmp_path / "text", tmp_path / "out")


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_a_damaged_archive_is_refused_or_unpacked_and_never_a_fault_of_another_kind(kind: str, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "archive", f"w:{kind}") as archive:  # type: ignore[call-overload]
        info = tarfile.TarInfo("numbers")
        text = "\n".join(str(number * number) for number in range(5_000)).encode()
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
    whole = (tmp_path / "archive").read_bytes()
    dice, refused = random.Random(1), 0
    for _ in range(20):
        at = dice.randrange(len(whole))
        (tmp_path / "archive").write_bytes(whole[:at] + dice.randbytes(16) + whole[at + 16 :])
        try:
            unpack(tmp_path / "archive", tmp_path / "out")
        except UnsafeArchive:
            refused += 1
    assert refused


@pytest.mark.parametrize("names", [["a", "a/b"], ["x" * 300], ["a/b", "a"]])
def test_names_that_no_folder_holds_are_the_archive_s_fault(names: list[str], tmp_path: Path) -> None:
    with pytest.raises(UnsafeArchive):
        unpack(tar_of(tmp_path / "a.tgz", *(member(name) for name in names)), tmp_path / "out")


def test_an_archive_that_is_not_there_is_the_machine_s_fault(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        unpack(tmp_path / "evicted", tmp_path / "out")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    (folder / "results/deep").mkdir(parents=True)
    for name in ("a.json", "results/b.json", "results/deep/c.txt"):
        (folder / name).write_bytes(b"x" * 10)
    return folder


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (["*.json"], ["a.json"]),
        (["**/*.json"], ["a.json", "results/b.json"]),
        (["results"], ["results/b.json", "results/deep/c.txt"]),
        (["nothing", "../secret", "/etc/passwd"], []),
    ],
)
def test_patterns_match_files_below_the_working_directory(patterns: list[str], names: list[str], work: Path) -> None:
    (work.parent / "secret").touch()
    assert list(select(work, patterns, 1000).names) == names


def matches_slowly(name: str, pattern: str) -> bool:
    """Whether a pattern stands for this file or a folder above it, by trying everything."""

    def stands(path: Sequence[str], parts: Sequence[str]) -> bool:
        if not parts:
            return True
        if parts[0] == "**":
            return any(stands(path[skipped:], parts[1:]) for skipped in range(len(path)))
        return bool(path) and fnmatchcase(path[0], parts[0]) and stands(path[1:], parts[1:])

    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    inside = not pattern.startswith("/") and ".." not in parts
    return inside and stands(name.split("/"), parts)


names = st.lists(st.sampled_from(["a", "b", ".c", "d.txt"]), min_size=1, max_size=3).map("/".join)
odd_patterns = st.one_of(st.text(max_size=12), st.text("ab*?[]./-", max_size=12))
patterns = st.one_of(odd_patterns, st.lists(st.sampled_from(["a", "*", "**", "?", "*.txt", "."])).map("/".join))


@given(names=st.sets(names, max_size=8), pattern=patterns)
def test_any_pattern_matches_what_trying_everything_finds(names: set[str], pattern: str) -> None:
    files = {name for name in names if not any(other.startswith(f"{name}/") for other in names)}
    with tempfile.TemporaryDirectory() as folder:
        for name in files:
            (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / name).touch()
        chosen = select(Path(folder), [pattern], 1000).names
    assert list(chosen) == sorted(name for name in files if matches_slowly(name, pattern))


def test_links_to_folders_are_not_followed(work: Path) -> None:
    (work / "around").symlink_to("results")
    (work / "loop").symlink_to("loop")
    assert select(work, ["around", "around/*", "loop", "**/loop/**"], 1000).names == ()


def test_files_above_the_limit_are_left_out_and_named(work: Path) -> None:
    chosen = select(work, ["**/*.json"], 15)
    assert chosen.names == ("a.json",)
    assert "results/b.json" in chosen.left_out


def test_links_that_leave_the_working_directory_are_left_out_and_named(work: Path) -> None:
    (work / "stolen").symlink_to("/etc/passwd")
    (work / "fine").symlink_to("a.json")
    chosen = select(work, ["stolen", "fine"], 1000)
    assert chosen.names == ("fine",)
    assert "stolen" in chosen.left_out


def test_packed_outputs_can_be_unpacked_again(work: Path, tmp_path: Path) -> None:
    pack(work, ["**/*.json"], 1000, tmp_path / "out.tgz")
    unpack(tmp_path / "out.tgz", tmp_path / "again")
    assert (tmp_path / "again/results/b.json").read_bytes() == b"x" * 10


def test_no_outputs_make_no_archive(work: Path, tmp_path: Path) -> None:
    assert pack(work, ["nothing"], 1000, tmp_path / "out.tgz").names == ()
    assert not (tmp_path / "out.tgz").exists()
