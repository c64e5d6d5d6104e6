"""The contract's cases about what a run leaves behind."""

from __future__ import annotations

import tarfile

from scheduler.model.job_state import RunPhase
from tests.connectors.harness import Behaviour, Harness, start, two_nodes, wait_for


def outputs_are_archived(harness: Harness) -> None:
    start(harness, Behaviour.WRITE_OUTPUT, outputs=("*.txt",))
    wait_for(harness, 1, RunPhase.ENDED)
    assert collected(harness) == {"result.txt": b"answer\n", "rank-0.txt": b"0\n"}


def outputs_of_every_worker_are_archived_and_what_they_share_is_there_once(harness: Harness) -> None:
    start(harness, Behaviour.WRITE_OUTPUT, outputs=("*.txt",), gang=two_nodes(harness))
    assert wait_for(harness, 1, RunPhase.ENDED).message == ""
    expected = {"result.txt": b"answer\n", "rank-0.txt": b"0\n", "rank-1.txt": b"1\n"}
    assert collected(harness) == expected
    harness.restart()
    assert collected(harness) == expected


def outputs_of_a_gang_are_limited_as_a_whole(harness: Harness) -> None:
    values = {"outputs": ("rank-*.txt",), "outputs_bytes_max": 3}
    start(harness, Behaviour.WRITE_OUTPUT, gang=two_nodes(harness), **values)
    report = wait_for(harness, 1, RunPhase.ENDED)
    assert collected(harness) == {"rank-0.txt": b"0\n"}
    assert "outputs left out, above the limit of 3 bytes: rank-1.txt" in report.message


def collected(harness: Harness) -> dict[str, bytes]:
    """Every file of run 1's archive, which holds each name once."""
    outputs = harness.connector.outputs(1)
    assert outputs.archive is not None
    with tarfile.open(outputs.archive) as archive:
        files = [(member.name, archive.extractfile(member)) for member in archive]
        found = {name: file.read() for name, file in files if file is not None}
    assert len(found) == len(files)
    return found
