"""Declared nodes are read from arguments and files, and what cannot be read says how to write it."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

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


@pytest.mark.parametrize(
    ("argument", "field"),
    [
        ("", "--nodes"),
        ("8:h100", "--nodes"),
        ("2x8", "--nodes"),
        ("2x8:H100", "gpu_class"),
        ("2x8:h100:cpus", "--nodes"),
        ("2x8:h100:cpus=1:cpus=2", "--nodes"),
        ("2x8:h100:nope=1", "nope"),
        ("2x8:h100:gpus=4", "gpus"),
        ("0x8:h100", "count"),
        ("2x1025:h100", "gpus"),
        ("2x8:h100:domain=-x", "domain"),
        ("2x8:h100:domain=a//b", "domain"),
        ("2x8:h100:domain=a/b/c/d", "domain"),
        ("2x8:h100:memory_mib=1000000001", "memory_mib"),
        ("2x8:h100:memory_mib=1.5", "memory_mib"),
        (f"2x8:h100:cpus={'9' * 5000}", "cpus"),
    ],
)
def test_what_declares_no_nodes_is_refused_by_its_field_in_both_languages(argument: str, field: str) -> None:
    with pytest.raises(SettingsUnusable) as refused:
        parse_kind(argument)
    assert_names(refused.value, field)


def test_no_nodes_and_no_table_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.toml").write_text("")
    (tmp_path / "broken.toml").write_text("[[")
    for arguments, file in (([], None), ([], tmp_path / "empty.toml"), ([], tmp_path / "broken.toml")):
        with pytest.raises(SettingsUnusable):
            declare_all(arguments, file)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("nodes = [1]", "nodes"),
        ("nodes = 3", "nodes"),
        ("[[node]]", "node"),
        ("[[nodes]]", "count"),
        ('[[nodes]]\ncount = true\ngpus = 8\ngpu_class = "h100"', "count"),
        ('[[nodes]]\ncount = 1\ngpus = 8\ngpu_class = "h100"\ndomain = ["-x"]', "domain"),
        ('[[nodes]]\ncount = 1\ngpus = 8\ngpu_class = "h100"\ncolour = "red"', "colour"),
        ('[[nodes]]\ncount = 60000\ngpus = 8\ngpu_class = "h100"\n' * 2, "count"),
        ("x = " + "[" * 5000, "--nodes-file"),
    ],
)
def test_a_file_that_declares_no_nodes_is_refused_by_its_field(tmp_path: Path, text: str, field: str) -> None:
    (tmp_path / "nodes.toml").write_text(text)
    with pytest.raises(SettingsUnusable) as refused:
        declare_all([], tmp_path / "nodes.toml")
    assert_names(refused.value, field)


def assert_names(refusal: SettingsUnusable, field: str) -> None:
    """Both languages name the field and say what to write."""
    assert field in str(refusal) and re.search("write|choose|give|declare|cannot be read", str(refusal))
    assert field in refusal.korean and re.search("[가-힣]", refusal.korean)


NODES = ("--nodes", "count", "gpus", "gpu_class", "cpus", "memory_mib", "pool", "domain", "there is no such word")
ARGUMENTS = st.builds(
    "{}x{}:{}:{}={}".format,
    st.integers(0, 3),
    st.integers(0, 2000),
    st.sampled_from(["h100", "H", ""]),
    st.sampled_from(["cpus", "memory_mib", "pool", "domain", "gpus"]),
    st.text(max_size=12),
)


@given(st.text(max_size=60) | ARGUMENTS)
def test_any_argument_declares_nodes_or_is_refused_in_both_languages(argument: str) -> None:
    try:
        assert declare_all([argument], None)
    except SettingsUnusable as refusal:
        assert any(name in str(refusal) for name in NODES)
        assert re.search("[가-힣]", refusal.korean)


TABLES = st.dictionaries(
    st.sampled_from(["count", "gpus", "gpu_class", "cpus", "memory_mib", "pool", "domain", "x"]),
    st.sampled_from(["1", "0", "8", "true", "1.5", '"h100"', '"-x"', "[]", '["a", "b"]', '["/"]', "{}", "1979-05-27"]),
).map(lambda table: "[[nodes]]\n" + "".join(f"{name} = {value}\n" for name, value in table.items()))


@given(st.binary(max_size=80) | TABLES.map(str.encode))
def test_any_file_declares_nodes_or_is_refused_in_both_languages(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "nodes.toml"
        path.write_bytes(content)
        try:
            assert declare_all([], path)
        except SettingsUnusable as refusal:
            assert str(path) in str(refusal) and re.search("[가-힣]", refusal.korean)
