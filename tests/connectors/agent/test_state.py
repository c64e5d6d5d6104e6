"""The agent's folder, whatever stands in its files: read, or refused with the file and what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.agent.durable import read_json
from connectors.agent.fences import Fences
from connectors.agent.state import StateDirectory
from connectors.errors import StateUnusable
from connectors.local import run_record as local_record
from connectors.ray import run_record as ray_record

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
RECORD_FIELDS = st.sampled_from(
    ["run_id", "order", "lease", "archive", "gpu_indices", "port", "launched", "stop", "report", "secret", "submitted"]
)
CONTENTS = st.binary(max_size=100) | JSON.map(lambda value: json.dumps(value).encode())
RECORDS = CONTENTS | st.dictionaries(RECORD_FIELDS, JSON).map(lambda value: json.dumps(value).encode())
DEEP = b"[" * 100_000


def assert_mendable(refusal: StateUnusable, file: str) -> None:
    """Both languages name the file."""
    assert file in str(refusal) and file in refusal.korean and re.search("[가-힣]", refusal.korean)


@given(st.sampled_from(["incarnation.json", "credential.json", "enrolment.json"]), CONTENTS)
@example("credential.json", b"{}")
@example("credential.json", DEEP)
@example("incarnation.json", DEEP)
def test_any_file_of_the_agent_is_read_or_refused_by_its_name(name: str, content: bytes) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(content)
        try:
            state = StateDirectory(Path(folder))
        except StateUnusable as refusal:
            assert_mendable(refusal, name)
            return
        try:
            state.credential()
            assert state.enrolment_key()
        except StateUnusable as refusal:
            assert_mendable(refusal, name)
        finally:
            state.close()


@given(RECORDS)
@example(DEEP)
@example(b"[1]")
@example(b'"text"')
def test_any_record_of_a_run_is_read_or_refused_by_its_name(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / "run.json").write_bytes(content)
        for load in (local_record.load, ray_record.load):
            try:
                load(Path(folder))
            except StateUnusable as refusal:
                assert_mendable(refusal, "run.json")


LINES = st.lists(st.sampled_from([b"1 2 3 4 0", b"7", b"1 2", b"x", b"", b"-1 1 1 1 1", b"\xff"]), max_size=5)


@given(LINES.map(b"\n".join) | st.binary(max_size=40))
@example(b"x\n")
def test_any_journal_of_fences_is_read_or_refused_by_its_name(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "fences"
        path.write_bytes(content)
        try:
            Fences(path).close()
        except StateUnusable as refusal:
            assert_mendable(refusal, "fences")


def test_a_file_that_cannot_be_read_names_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(StateUnusable, match="move it away"):
        read_json(tmp_path / "x.json")
