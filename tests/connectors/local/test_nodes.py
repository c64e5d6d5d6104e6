"""Declared nodes are read from arguments and files, and what cannot be read says how to write it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import SettingsUnusable
from connectors.local.nodes import declare_all, parse_kind


def test_arguments_and_a_file_declare_nodes_numbered_by_pool(tmp_path: Path) -> None:
    file = tmp_path / "nodes.toml"
    file.write_text('[[nodes]]\ncount = 1\ngpus = 4\ngpu_class = "a100"\n')
    nodes = declare_all(["2x8:h100:cpus=32:memory_mib=1024:domain=hall-1/spine-2"], file)
    assert [(node.name, node.gpus, node.gpu_class) for node in nodes] == [
        ("default-0", 8, "h100"),
        ("default-1", 8, "h100"),
        ("default-2", 4, "a100"),
    ]
    assert (nodes[0].cpus, nodes[0].memory_mib, nodes[0].domain) == (32, 1024, ("hall-1", "spine-2"))


@pytest.mark.parametrize("argument", ["", "8:h100", "2x8", "2x8:H100", "2x8:h100:cpus", "2x8:h100:nope=1", "0x8:h100"])
def test_what_declares_no_nodes_is_refused(argument: str) -> None:
    with pytest.raises(SettingsUnusable):
        parse_kind(argument)


def test_no_nodes_and_no_table_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.toml").write_text("")
    (tmp_path / "broken.toml").write_text("[[")
    for arguments, file in (([], None), ([], tmp_path / "empty.toml"), ([], tmp_path / "broken.toml")):
        with pytest.raises(SettingsUnusable):
            declare_all(arguments, file)


@given(st.text(max_size=60))
def test_any_argument_is_read_or_refused(argument: str) -> None:
    try:
        parse_kind(argument)
    except SettingsUnusable as refusal:
        assert str(refusal)
