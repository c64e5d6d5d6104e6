"""The working directory's archive: the same bytes for the same content, and nothing that leaves the folder."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.cli.archive import archive_directory
from scheduler.cli.failure import EXIT_USAGE, CommandFailure


def names_in(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        return archive.getnames()


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_the_same_content_has_the_same_digest_whatever_the_times_and_the_order(tmp_path: Path) -> None:
    first = write(tmp_path / "first", {"a.py": "1", "b/c.py": "2"})
    second = write(tmp_path / "second", {"b/c.py": "2", "a.py": "1"})
    os.utime(second / "a.py", (1, 1))
    assert archive_directory(first) == archive_directory(second)


def test_other_content_has_another_digest(tmp_path: Path) -> None:
    first = write(tmp_path / "first", {"a.py": "1"})
    second = write(tmp_path / "second", {"a.py": "2"})
    assert archive_directory(first)[0] != archive_directory(second)[0]


def test_version_control_caches_and_what_is_ignored_stay_out(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        {
            ".git/config": "",
            "__pycache__/a.pyc": "",
            "data/big.bin": "",
            "notes.txt": "",
            "train.py": "",
            ".dureignore": "data/\n# a remark\n*.txt\n",
        },
    )
    assert names_in(archive_directory(folder)[1]) == [".dureignore", "train.py"]


def test_a_link_that_leaves_the_folder_is_refused_by_name(tmp_path: Path) -> None:
    folder = write(tmp_path / "work", {"a.py": ""})
    (tmp_path / "secret").write_text("s", encoding="utf-8")
    (folder / "link").symlink_to("../secret")
    with pytest.raises(CommandFailure, match="link") as refused:
        archive_directory(folder)
    assert refused.value.exit_code == EXIT_USAGE


def test_a_link_inside_the_folder_stays_a_link(tmp_path: Path) -> None:
    folder = write(tmp_path, {"a.py": ""})
    (folder / "link").symlink_to("a.py")
    with tarfile.open(fileobj=io.BytesIO(archive_directory(folder)[1]), mode="r:gz") as archive:
        assert archive.getmember("link").issym()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandFailure, match="nowhere"):
        archive_directory(tmp_path / "nowhere")


@given(st.dictionaries(st.text("abc", min_size=1, max_size=4), st.text(max_size=20), max_size=6))
def test_what_was_packed_comes_out_again(tmp_path_factory: pytest.TempPathFactory, files: dict[str, str]) -> None:
    folder = tmp_path_factory.mktemp("packed")
    for name, text in files.items():
        (folder / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    _, data = archive_directory(folder)
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        found = {}
        for member in archive.getmembers():
            file = archive.extractfile(member)
            assert file is not None
            found[member.name] = file.read().decode("utf-8", "surrogatepass")
    assert found == files


def test_every_name_of_a_file_carries_its_content(tmp_path: Path) -> None:
    folder = write(tmp_path, {"a.py": "same"})
    os.link(folder / "a.py", folder / "b.py")
    with tarfile.open(fileobj=io.BytesIO(archive_directory(folder)[1]), mode="r:gz") as archive:
        assert [(member.name, member.isreg(), member.size) for member in archive] == [
            ("a.py", True, 4),
            ("b.py", True, 4),
        ]


def test_an_empty_folder_is_sent(tmp_path: Path) -> None:
    (tmp_path / "results" / "deep").mkdir(parents=True)
    assert names_in(archive_directory(tmp_path)[1]) == ["results", "results/deep"]


def test_what_is_no_file_is_left_out_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(write(tmp_path, {"a.py": ""}) / "pipe")
    assert names_in(archive_directory(tmp_path)[1]) == ["a.py"]
    assert str(tmp_path / "pipe") in capsys.readouterr().err


@pytest.mark.parametrize("target", ["link", "{folder}/a.py"])
def test_a_link_in_circles_or_to_an_absolute_place_is_refused_by_name(tmp_path: Path, target: str) -> None:
    folder = write(tmp_path, {"a.py": ""})
    (folder / "link").symlink_to(target.format(folder=folder))
    with pytest.raises(CommandFailure, match="link"):
        archive_directory(folder)


def test_an_ignore_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".dureignore").write_bytes(b"\xff\xfe")
    with pytest.raises(CommandFailure, match=r"\.dureignore"):
        archive_directory(tmp_path)
