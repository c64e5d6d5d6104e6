"""What workers left on nodes of their own becomes one archive, whatever happens to the parts of it on the way."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from run_orders import lease, run_order

from connectors.clock import SystemClock
from connectors.ray import driver
from connectors.ray.collection import Collection, files_of
from connectors.ray.connector import RayConnector
from connectors.ray.driver import Channel, Gone, Worker
from connectors.ray.left_files import Answer
from scheduler.model.job_state import RunPhase
from tests.connectors.ray.fake_ray import FakeRay, channel_of, site_of

LIMIT = 1000


def tar_of(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def told(files: Mapping[str, bytes]) -> list[list[object]]:
    return [[name, len(content), hashlib.sha256(content).hexdigest()] for name, content in files.items()]


def content_of(archive: Path | None) -> dict[str, bytes]:
    assert archive is not None
    with tarfile.open(archive) as opened:
        files = {member.name: opened.extractfile(member) for member in opened.getmembers()}
        return {name: file.read() for name, file in files.items() if file is not None}


@pytest.fixture
def site(ray: FakeRay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RayConnector]:
    """A gang of two whose workers each write their rank into rank.txt, and more."""
    monkeypatch.setattr(driver, "BEAT_SECONDS", 0.02)
    ray.take.set()
    made = site_of(ray, tmp_path)
    script = "echo alike > alike.txt; echo $RANK > rank.txt; [ $RANK = 1 ] && ln -s /etc/passwd out.txt; exit 0"
    values = {"outputs": ("*.txt",), "outputs_bytes_max": LIMIT, "environment": {"PATH": "/usr/bin:/bin"}}
    order = run_order(1, gang=(("default-0", (0, 1)),), command=("/bin/sh", "-c", script), **values)
    made.start(order, lease(SystemClock().boottime_ns()), None)
    yield made
    made.close()


@pytest.fixture
def channel(ray: FakeRay, site: RayConnector) -> Channel:
    return channel_of(ray)


def end(channel: Channel, *ranks: int) -> None:
    for rank in ranks:
        word = {"phase": "ended", "cause": "exited", "started_ms": 5, "ended_ms": 6, "exit_code": 0}
        channel.ask_json("POST", f"/worker/{rank}/beat", {"report": word})


def put(channel: Channel, rank: int, content: bytes, folder: Path) -> None:
    path = folder / "sent"
    path.write_bytes(content)
    with path.open("rb") as file:
        channel.ask("PUT", f"/worker/{rank}/outputs", file)


def test_files_of_one_name_that_differ_are_told_apart_by_rank(channel: Channel, site: RayConnector) -> None:
    workers = [threading.Thread(target=Worker(channel, rank).run) for rank in (1, 0)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    report = site.observe()[0]
    assert report.phase is RunPhase.ENDED
    assert report.message == "worker 1: outputs left out, links that leave the working directory: out.txt"
    expected = {"alike.txt": b"alike\n", "rank.txt": b"0\n", "worker-1/rank.txt": b"1\n"}
    assert content_of(site.outputs(1).archive) == expected


def test_a_part_that_did_not_arrive_is_told_and_the_others_are_taken(
    channel: Channel, site: RayConnector, tmp_path: Path
) -> None:
    for rank in (0, 1):
        channel.ask_json("POST", f"/worker/{rank}/left", told({"a": b"%d" % rank}))
    put(channel, 1, tar_of({"a": b"1"}), tmp_path)
    end(channel, 0, 1)
    assert site.observe()[0].message == "worker 0: outputs left out, they did not arrive"
    assert content_of(site.outputs(1).archive) == {"a": b"1"}


@pytest.mark.parametrize(
    "damage", [lambda part: part[: len(part) // 2], lambda part: part[:-8] + bytes(8), lambda _: b""]
)
def test_a_part_that_is_damaged_costs_no_other(
    damage: Callable[[bytes], bytes], channel: Channel, site: RayConnector, tmp_path: Path
) -> None:
    parts = [{"a": bytes(range(200)), "b": b"0"}, {"a": b"1"}]
    for rank, files in enumerate(parts):
        assert set(channel.ask_json("POST", f"/worker/{rank}/left", told(files))) == {Answer.SEND}
    put(channel, 0, damage(tar_of(parts[0])), tmp_path)
    put(channel, 1, tar_of(parts[1]), tmp_path)
    end(channel, 0, 1)
    outputs = site.outputs(1)
    assert content_of(outputs.archive) == {"a": b"1"}
    assert outputs.message == "worker 0: outputs left out, their archive is damaged"


def test_what_was_not_asked_for_is_not_taken(channel: Channel, site: RayConnector, tmp_path: Path) -> None:
    parts = [{"a": b"0", "b": b"0"}, {"a": b"1", "c": b"1"}]
    for rank, files in enumerate(parts):
        channel.ask_json("POST", f"/worker/{rank}/left", told(files))
        put(channel, rank, tar_of({**files, "c": b"larger", "../d": b"", "more": bytes(LIMIT)}), tmp_path)
    end(channel, 0, 1)
    assert content_of(site.outputs(1).archive) == {"a": b"0", "b": b"0", "worker-1/a": b"1"}


def test_what_came_first_gives_way_to_a_lower_rank_and_is_told(
    channel: Channel, site: RayConnector, tmp_path: Path
) -> None:
    for rank in (1, 0):
        files = {f"large-{rank}": bytes([rank]) * 600}
        assert channel.ask_json("POST", f"/worker/{rank}/left", told(files)) == [Answer.SEND]
        put(channel, rank, tar_of(files), tmp_path)
    end(channel, 0, 1)
    assert site.observe()[0].message == "worker 1: outputs left out, above the limit of 1000 bytes: large-1"
    assert content_of(site.outputs(1).archive) == {"large-0": bytes(600)}


def test_nothing_is_taken_after_the_end_of_the_run(channel: Channel, site: RayConnector, tmp_path: Path) -> None:
    end(channel, 0, 1)
    with pytest.raises(Gone):
        channel.ask_json("POST", "/worker/1/left", told({"a": b"1"}))
    with pytest.raises(Gone):
        put(channel, 1, tar_of({"a": b"1"}), tmp_path)
    assert site.outputs(1).archive is None


def test_what_workers_heard_is_known_after_a_crash_that_cut_a_note_short(tmp_path: Path) -> None:
    files = {"a": b"0", "b": b"0"}
    Collection(tmp_path, LIMIT).ask(files_of(0, told(files)))
    with (tmp_path / "left").open("ab") as journal:
        journal.write(b'[1, "a", 1')
    again = Collection(tmp_path, LIMIT)
    assert again.ask(files_of(1, told({"a": b"1"}))) == [Answer.SEND]
    last = Collection(tmp_path, LIMIT)
    assert last.ask(files_of(2, told({"a": b"1", "b": b"0"}))) == [Answer.SAME, Answer.SAME]
    for rank, part in enumerate((files, {"a": b"1"})):
        last.part(rank).write_bytes(tar_of(part))
    assert content_of(last.archive().archive) == {"a": b"0", "b": b"0", "worker-1/a": b"1"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["left", "outputs.tar.gz"]


DIGEST = "0" * 64


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            ["../a", 1, DIGEST],
            ["/a", 1, DIGEST],
            ["a//b", 1, DIGEST],
            ["a/", 1, DIGEST],
            ["", 1, DIGEST],
            [1, 1, DIGEST],
        ),
        *(
            ["a\0", 1, DIGEST],
            ["a" * 5000, 1, DIGEST],
            ["a", -1, DIGEST],
            ["a", True, DIGEST],
            ["a", 1, "x"],
            ["a", 1],
            7,
        ),
    ],
    ids=str,
)
def test_what_is_no_file_of_the_working_directory_is_refused(wrong: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        files_of(0, [wrong])
