"""Whatever stands in the control file: the supervisor keeps what it was told last, and never falls over it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from example_count import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.local.worker import WorkerFiles, read_lease, read_report
from connectors.supervisor.supervise import Control

LEASE = {"deadline_boottime_ns": 7, "lease_seconds": 1, "renewal": 1, "stop": None}
STOP = {"cause": "preempted", "grace_seconds": 2, "checkpoint": True}
#: What JSON can say, ``Infinity`` and ``NaN`` as Python's reader takes them.
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
DOCUMENTS = st.one_of(
    VALUES,
    st.lists(VALUES, max_size=2),
    st.fixed_dictionaries(
        {},
        optional={
            "deadline_boottime_ns": VALUES,
            "lease_seconds": VALUES,
            "renewal": VALUES,
            "stop": VALUES | st.lists(VALUES, max_size=2) | st.dictionaries(st.sampled_from(sorted(STOP)), VALUES),
            "phase": VALUES,
            "started_ms": VALUES,
            "exit_code": VALUES,
            "signal": VALUES | st.lists(VALUES, max_size=1),
            "cause": VALUES,
        },
    ),
)
CONTENTS = st.one_of(st.binary(max_size=40), DOCUMENTS.map(lambda each: json.dumps(each).encode()))
DEEP = b"[" * 200_000


def told(path: Path, content: bytes) -> None:
    """Replace a file as those who write it do."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(content)
    fresh.replace(path)


def control_of(path: Path) -> Control:
    """A supervisor's reader that was given a lease and told to stop."""
    told(path, json.dumps(LEASE | {"stop": STOP}).encode())
    control = Control(str(path))
    assert control.read()["stop"] == STOP
    return control


@settings(max_examples=examples(80))
@given(CONTENTS)
@example(DEEP)
@example(b'{"deadline_boottime_ns": 1e999}')
@example(b'{"stop": {"cause": "x", "grace_seconds": NaN}}')
@example(b'{"stop": "x"}')
@example(b"[]")
def test_any_control_file_is_taken_whole_or_leaves_what_was_told_before(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "control.json"
        control = control_of(path)
        before = control.value
        told(path, content)
        value: dict[str, Any] = control.read()
    deadline_ns, stop = value["deadline_boottime_ns"], value["stop"]
    assert isinstance(deadline_ns, int)
    assert stop is None or (isinstance(stop["cause"], str) and math.isfinite(stop["grace_seconds"]))
    if value is not before:
        written = json.loads(content)
        assert int(written.get("deadline_boottime_ns") or 0) == deadline_ns
        assert (written.get("stop") is None) == (stop is None)


@settings(max_examples=examples(80))
@given(CONTENTS)
@example(DEEP)
@example(b'{"deadline_boottime_ns": 1e999, "lease_seconds": 1, "renewal": 1}')
@example(b'{"signal": [1]}')
def test_any_file_beside_a_worker_is_read_or_says_nothing(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        files = WorkerFiles(Path(folder), 0)
        for path in (files.control, files.report):
            path.write_bytes(content)
        lease, report = read_lease(files), read_report(files)
    assert lease is None or isinstance(lease.deadline_boottime_ns, int)
    assert report is None or report.exit_code is None or 0 <= report.exit_code <= 255
