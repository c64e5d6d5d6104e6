"""The job file: what is read, what is refused, and that no input makes the parser fall over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from scheduler.model.duration import parse_duration_seconds
from scheduler.model.job_spec import MEMORY_MIB_MAX, WALLTIME_SECONDS_MAX, JobSpec, parse_memory_mib
from scheduler.model.shape import DataClass, Topology

ROOT = Path(__file__).resolve().parents[3]
SMALLEST: dict[str, Any] = {"name": "digits", "group": "research.kaist.vision", "command": ["true"]}


def _fields_refused(document: dict[str, Any]) -> set[str]:
    with pytest.raises(ValidationError) as refused:
        JobSpec.model_validate(document)
    return {str((*error["loc"], "")[0]) for error in refused.value.errors()}


def test_the_smallest_job_file_has_sensible_defaults() -> None:
    spec = JobSpec.model_validate(SMALLEST)
    assert (spec.gpus, spec.preemptible, spec.priority, spec.walltime) == (1, True, 0, None)
    assert spec.shape(DataClass.OPEN).topology is Topology.ANY


def test_a_full_job_file_reads_as_written() -> None:
    spec = JobSpec.model_validate(
        SMALLEST
        | {
            "workers": 2,
            "gpus_per_worker": 4,
            "gpu_classes": ["h100", "a100"],
            "memory_per_worker": "64GiB",
            "walltime": "1h30m",
            "checkpoint": {"directory": "auto", "signal": "SIGUSR2", "grace": "2m"},
            "topology": {"preferred": "leaf", "required": "spine"},
            "data_class": "S",
            "priority_class": "high",
            "command": "python train.py | tee log",
        }
    )
    assert spec.gpus == 8
    shape = spec.shape(DataClass.OPEN)
    assert (shape.topology, shape.required) == (Topology.LEAF, Topology.SPINE)
    assert spec.memory_per_worker == 64 * 1024
    assert spec.walltime == 5400
    assert spec.checkpoint is not None and spec.checkpoint.grace_seconds == 120
    assert spec.command == ("/bin/sh", "-c", "python train.py | tee log")
    assert spec.shape(DataClass.OPEN).data_class is DataClass.SENSITIVE


def test_an_elastic_gang_is_asked_for_by_its_least_workers() -> None:
    spec = JobSpec.model_validate(SMALLEST | {"workers": {"min": 2, "max": 8}, "gpus_per_worker": 4})
    assert (spec.workers_min, spec.workers_max, spec.gpus) == (2, 8, 8)
    shape = spec.shape(DataClass.OPEN)
    assert (shape.workers, shape.workers_max, shape.workers_most) == (2, 8, 8)


def test_a_gang_of_one_size_is_the_same_shape_however_it_is_written() -> None:
    one, other = (JobSpec.model_validate(SMALLEST | {"workers": each}) for each in (3, {"min": 3, "max": 3}))
    assert one.shape(DataClass.OPEN) == other.shape(DataClass.OPEN)


@pytest.mark.parametrize("workers", [1, {"min": 1, "max": 4}])
def test_a_job_comes_back_from_its_own_json(workers: object) -> None:
    spec = JobSpec.model_validate(SMALLEST | {"checkpoint": {"grace": 5}, "walltime": "2d", "workers": workers})
    again = JobSpec.model_validate_json(spec.model_dump_json(by_alias=True))
    assert again == spec


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"wall_time": "1h"}, "wall_time"),
        ({"workers": 0}, "workers"),
        ({"workers": "many"}, "workers"),
        ({"workers": {"min": 3, "max": 2}}, "workers"),
        ({"workers": {"min": 0, "max": 2}}, "workers"),
        ({"workers": {"min": 1}}, "workers"),
        ({"workers": {"min": 1, "max": 2, "step": 1}}, "workers"),
        ({"workers": {"min": 1, "max": 100_000}, "gpus_per_worker": 1024}, ""),
        ({"group": "Research/KAIST"}, "group"),
        ({"command": []}, "command"),
        ({"command": ""}, "command"),
        ({"command": ["a\x00b"]}, "command"),
        ({"environment": {"DURE_JOB_ID": "7"}}, "environment"),
        ({"environment": {"A B": "7"}}, "environment"),
        ({"outputs": ["../secrets"]}, "outputs"),
        ({"outputs": ["/etc/passwd"]}, "outputs"),
        ({"outputs": ["results/**.txt"]}, "outputs"),
        ({"walltime": "soon"}, "walltime"),
        ({"outputs_limit": 0}, "outputs_limit"),
        ({"outputs_limit": "64GB"}, "outputs_limit"),
        ({"memory_per_worker": "64GB"}, "memory_per_worker"),
        ({"gpu_classes": ["h100", "h100"]}, "gpu_classes"),
        ({"speeds": {"h100": 0}}, "speeds"),
        ({"speeds": {"h100": float("inf")}}, "speeds"),
        ({"speeds": {"h100": float("nan")}}, "speeds"),
        ({"priority_class": "urgent"}, "priority_class"),
        ({"checkpoint": {"signal": "SIGKILL"}}, "checkpoint"),
        ({"checkpoint": {"directory": "/tmp/x"}}, "checkpoint"),
        ({"working_directory": "."}, "working_directory"),
    ],
)
def test_a_refusal_names_the_field(change: dict[str, Any], field: str) -> None:
    assert field in _fields_refused(SMALLEST | change)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("1h30m", 5400), ("2d", 172_800), ("02:30:00", 9000), ("1-00:00:01", 86_401), (7, 7)],
)
def test_durations_read_as_people_write_them(text: object, seconds: int) -> None:
    assert parse_duration_seconds(text) == seconds


@pytest.mark.parametrize(("text", "mib"), [("512MiB", 512), ("64GiB", 65_536), ("1TiB", 1_048_576), ("7", 7), (7, 7)])
def test_memory_reads_as_people_write_it(text: object, mib: int) -> None:
    assert parse_memory_mib(text) == mib


@given(
    st.one_of(
        st.text(max_size=12),
        st.from_regex(r"\s*[0-9]{0,12}\.?[0-9]{0,2}\s*(MiB|GiB|TiB|GB|gib|)\s*", fullmatch=True),
    )
)
def test_any_text_of_memory_is_read_as_it_is_written_or_refused_by_its_field(text: str) -> None:
    file = {"name": "a", "group": "g", "command": "true", "memory_per_worker": text}
    units = {"": 1, "MiB": 1, "GiB": 1024, "TiB": 1024 * 1024}
    written = text.strip()
    unit = next((each for each in ("MiB", "GiB", "TiB") if written.endswith(each)), "")
    number = written.removesuffix(unit).rstrip()
    mib = int(number) * units[unit] if number.isdecimal() and len(number) <= 9 else 0
    try:
        assert JobSpec.model_validate(file).memory_per_worker == mib
    except ValidationError as refused:
        assert [error["loc"] for error in refused.errors()] == [("memory_per_worker",)]
        assert not 1 <= mib <= MEMORY_MIB_MAX


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(JobSpec.model_fields)), _anything))
def test_any_document_is_read_or_refused_by_name(document: dict[str, Any]) -> None:
    try:
        JobSpec.model_validate(SMALLEST | document)
    except ValidationError as refused:
        assert all(error["loc"] for error in refused.errors())


@given(st.text(max_size=30))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        assert parse_duration_seconds(text) >= 0
    except ValueError as refused:
        assert "1h30m" in str(refused)


def test_the_published_schema_is_json_and_names_every_field() -> None:
    schema = json.loads(json.dumps(JobSpec.model_json_schema(by_alias=True)))
    assert set(schema["properties"]) == set(JobSpec.model_fields)
    assert schema["properties"]["command"]["anyOf"] or schema["properties"]["command"]


def _published() -> jsonschema.Draft202012Validator:
    schema = JobSpec.model_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_published_schema_takes_the_example_of_this_project() -> None:
    example = yaml.safe_load((ROOT / "examples/digits/job.yaml").read_text(encoding="utf-8"))
    assert [error.message for error in _published().iter_errors(example)] == []


@pytest.mark.parametrize(
    ("field", "value", "taken"),
    [
        ("walltime", "1h30m", True),
        ("walltime", "1-02:30:00", True),
        ("walltime", "soon", False),
        ("walltime", 0, False),
        ("memory_per_worker", "64GiB", True),
        ("memory_per_worker", "64GB", False),
        ("checkpoint", {"grace": 3601}, False),
        ("working_directory", ".", True),
        ("command", "python train.py", True),
        ("colour", "red", False),
    ],
)
def test_the_published_schema_judges_what_is_written(field: str, value: object, taken: bool) -> None:
    assert _published().is_valid(SMALLEST | {field: value}) is taken


def _described(schema: dict[str, Any]) -> dict[str, str]:
    parts = [schema, *(schema["$defs"][name] for name in ("CheckpointSpec", "TopologySpec"))]
    return {name: field.get("description", "") for part in parts for name, field in part["properties"].items()}


def test_every_field_of_the_published_schema_is_described_there_and_in_the_page() -> None:
    schema = JobSpec.model_json_schema()
    page = (ROOT / "docs/job-file.md").read_text(encoding="utf-8")
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for name, description in _described(schema).items():
        assert description, name
        assert f"`{name}`" in page, name


@given(st.text("0123456789smhdw:- ", max_size=12))
def test_the_published_pattern_takes_the_durations_that_are_read(text: str) -> None:
    try:
        seconds = parse_duration_seconds(text)
    except ValueError:
        assert not _published().is_valid(SMALLEST | {"walltime": text})
    else:
        if 1 <= seconds <= WALLTIME_SECONDS_MAX:
            assert _published().is_valid(SMALLEST | {"walltime": text})
