"""What workers told is read whatever stands in its file."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.ray.words import Words, word_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["phase", "started_ms", "ended_ms", "exit_code", "cause", "message", "left_out", "pid"])


@given(st.binary(max_size=200) | st.dictionaries(FIELDS, JSON).map(lambda word: json.dumps(word).encode()))
@example(b"[" * 100_000)
def test_any_file_is_a_word_of_plain_texts_and_times_or_none(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / "report-0.json").write_bytes(content)
        word = Words(Path(folder)).read(0)
    for name, value in (word or {}).items():
        assert type(value) is (int if name in ("started_ms", "ended_ms", "exit_code") else str)


@pytest.mark.parametrize(
    "told", [{"exit_code": 256}, {"exit_code": True}, {"started_ms": -1}, {"cause": []}, {"phase": 3}]
)
def test_what_cannot_be_meant_is_left_out(told: dict[str, object]) -> None:
    assert word_of(told) == {}


def test_what_is_meant_stays() -> None:
    word = {"phase": "ended", "started_ms": 1, "ended_ms": 2, "exit_code": 0, "cause": "exited", "message": "끝"}
    assert word_of(word) == word
