"""What a site left out of the outputs is said in Korean too, in every sentence that our connectors have."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.agent.archive import select
from connectors.ray.collection import Collection
from connectors.ray.left_files import LeftFile
from scheduler.cli.left_out import korean_left_out

LIMIT = "outputs left out, above the limit of 10 bytes"


@pytest.mark.parametrize(
    ("english", "korean"),
    [
        (f"{LIMIT}: a, b", "한도 10바이트를 넘어 뺀 결과물: a, b"),
        (f"worker 3: {LIMIT}: a and 12 more", "작업자 3: 한도 10바이트를 넘어 뺀 결과물: a 외 12개"),
        (
            "outputs left out, links that leave the working directory: out",
            "작업 폴더 밖을 가리키는 링크라서 뺀 결과물: out",
        ),
        ("worker 0: outputs left out, too many files: a", "작업자 0: 파일이 너무 많아 뺀 결과물: a"),
        ("worker 1: outputs left out, they did not arrive", "작업자 1: 결과물이 도착하지 않았습니다"),
        ("the outputs could not be taken: disk full", "결과물을 가져오지 못했습니다: disk full"),
        ("outputs of another kind; outputs left out", "outputs of another kind; outputs left out"),
    ],
)
def test_a_sentence_is_said_in_korean(english: str, korean: str) -> None:
    assert korean_left_out(english) == korean


def test_every_sentence_of_a_local_site_and_of_a_gang_is_known(tmp_path: Path) -> None:
    work, run = tmp_path / "work", tmp_path / "run"
    work.mkdir()
    run.mkdir()
    (work / "large").write_bytes(bytes(20))
    (work / "out").symlink_to("/etc/passwd")
    collection = Collection(run, 10)
    for rank, name in ((2, "b"), (1, "a"), (0, "c")):
        collection.ask([LeftFile(rank, name, 8, name)])
    for rank in (0, 2):
        collection.part(rank).touch()
    sentences = [*select(work, ["*"], 10).left_out.split("; "), *collection.left_out()]
    assert len(sentences) == 4
    for sentence in sentences:
        assert "outputs" in sentence and "결과물" in korean_left_out(sentence)
        assert "outputs" not in korean_left_out(sentence)
