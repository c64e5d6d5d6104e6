"""A file is replaced whole or not at all, also where the disk takes no more."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.agent.durable import replace_quickly, write_durably


@pytest.mark.parametrize("write", [write_durably, replace_quickly])
def test_what_the_disk_takes_only_a_part_of_leaves_the_file_as_it_was(
    write: Callable[[Path, bytes], None], tmp_path: Path
) -> None:
    path = tmp_path / "state.json"
    write(path, b"before")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            write(path, b"x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"before"
    write(path, b"x" * 5000)
    assert path.read_bytes() == b"x" * 5000
