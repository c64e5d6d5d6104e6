"""The job file: what a researcher writes. One pydantic model, whose JSON schema the API publishes."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from scheduler.model.shape import PRIORITY_CLASSES, DataClass, Shape, Topology

DIGEST_PATTERN = r"^sha256:[0-9a-f]{64}$"
GROUP_PATH_PATTERN = r"^[a-z0-9][a-z0-9-]{0,62}(\.[a-z0-9][a-z0-9-]{0,62}){0,7}$"
SIGNALS = ("SIGUSR1", "SIGUSR2", "SIGTERM", "SIGINT", "SIGHUP")

_DURATION_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_MEMORY_UNITS = {"": 1, "MiB": 1, "GiB": 1024, "TiB": 1024 * 1024}
WALLTIME_SECONDS_MAX = 366 * 86_400


def parse_duration_seconds(value: Any) -> Any:
    """Read ``90``, ``"90s"``, ``"1h30m"``, ``"2d"``, ``"HH:MM:SS"`` or ``"D-HH:MM:SS"`` as whole seconds.

    Anything that is not text is handed on unchanged for the schema to judge.
    """
    if not isinstance(value, str):
        return value
    text = value.strip()
    clock = re.fullmatch(r"(?:(\d{1,4})-)?(\d{1,4}):(\d{1,2}):(\d{1,2})", text)
    if clock:
        days, hours, minutes, seconds = (int(part or 0) for part in clock.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    parts = re.findall(r"(\d{1,9})\s*([smhdw])", text)
    if parts and re.fullmatch(r"(?:\d{1,9}\s*[smhdw]\s*)+", text):
        return sum(int(number) * _DURATION_UNITS[unit] for number, unit in parts)
    if re.fullmatch(r"\d{1,9}", text):
        return int(text)
    raise ValueError("write a duration like 90s, 1h30m, 2d or 02:30:00")


def parse_memory_mib(value: Any) -> Any:
    """Read ``4096`` (MiB), ``"512MiB"``, ``"64GiB"`` or ``"1TiB"`` as whole MiB."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d{1,9})\s*(MiB|GiB|TiB|)\s*", value)
    if not match:
        raise ValueError("write an amount of memory like 512MiB, 64GiB or 1TiB")
    return int(match.group(1)) * _MEMORY_UNITS[match.group(2)]


def parse_command(value: Any) -> Any:
    """Take a list as it stands; run a text by the shell."""
    return ["/bin/sh", "-c", value] if isinstance(value, str) and value.strip() else value


DurationSeconds = Annotated[int, BeforeValidator(parse_duration_seconds, json_schema_input_type=int | str)]
MemoryMib = Annotated[int, BeforeValidator(parse_memory_mib, json_schema_input_type=int | str)]
Argument = Annotated[str, Field(max_length=65_536)]
GpuClassName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")]


class Part(BaseModel):
    """Base of the job file's parts: unknown fields are refused, so that a typing error is not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=False)


class CheckpointSpec(Part):
    """How the job saves its state. ``directory`` is ``auto`` (the site keeps one for the job, and the job goes back to
    that site) or the address of an object store, which every site reaches."""

    directory: str = Field(default="auto", max_length=1024, pattern=r"^(auto|s3://[^\s]+|gs://[^\s]+)$")
    signal: str = Field(default="SIGUSR1", json_schema_extra={"enum": list(SIGNALS)})
    grace_seconds: DurationSeconds = Field(default=60, ge=0, le=3600, alias="grace")

    @field_validator("signal")
    @classmethod
    def _known_signal(cls, value: str) -> str:
        if value not in SIGNALS:
            raise ValueError(f"choose one of {', '.join(SIGNALS)}")
        return value


class TopologySpec(Part):
    """How close the gang's workers should be. A preference: a looser place is taken when no tighter one is free."""

    preferred: Topology = Topology.ANY


class JobSpec(Part):
    """A job as submitted. A gang of ``workers`` equal workers starts as a whole or not at all."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, title="Dure job", json_schema_extra={"$id": "urn:dure:job-file:1"}
    )

    name: str = Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f/\\]+$")
    group: str = Field(pattern=GROUP_PATH_PATTERN, max_length=400)
    workers: int = Field(default=1, ge=1, le=100_000)
    gpus_per_worker: int = Field(default=1, ge=1, le=1024)
    gpu_classes: tuple[GpuClassName, ...] = Field(default=(), max_length=16)
    cpus_per_worker: int = Field(default=1, ge=1, le=4096)
    memory_per_worker: MemoryMib = Field(default=1024, ge=1, le=64 * 1024 * 1024)
    walltime: DurationSeconds | None = Field(default=None, ge=1, le=WALLTIME_SECONDS_MAX)
    preemptible: bool = True
    checkpoint: CheckpointSpec | None = None
    topology: TopologySpec = TopologySpec()
    data_class: DataClass | None = None
    priority_class: str = Field(default="normal", json_schema_extra={"enum": list(PRIORITY_CLASSES)})
    retries: int = Field(default=0, ge=0, le=100)
    environment: dict[str, str] = Field(default_factory=dict, max_length=512)
    working_directory: str | None = Field(default=None, pattern=DIGEST_PATTERN)
    image: str | None = Field(default=None, min_length=1, max_length=512)
    command: Annotated[tuple[Argument, ...], BeforeValidator(parse_command, json_schema_input_type=str | list[str])] = (
        Field(min_length=1, max_length=1024)
    )
    outputs: tuple[Annotated[str, Field(min_length=1, max_length=512)], ...] = Field(default=(), max_length=64)

    @field_validator("gpu_classes")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("name each GPU class once")
        return value

    @field_validator("priority_class")
    @classmethod
    def _known_priority(cls, value: str) -> str:
        if value not in PRIORITY_CLASSES:
            raise ValueError(f"choose one of {', '.join(PRIORITY_CLASSES)}")
        return value

    @field_validator("environment")
    @classmethod
    def _usable_environment(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,255}", name):
                raise ValueError(f"{name[:40]!r} is not a usable variable name: letters, digits and _ only")
            if name.startswith("DURE_"):
                raise ValueError("names that begin with DURE_ are given by the federation: choose another")
            if len(text) > 65_536 or "\x00" in text:
                raise ValueError(f"the value of {name} is too long or holds a zero byte")
        return value

    @field_validator("command")
    @classmethod
    def _no_zero_bytes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any("\x00" in argument for argument in value):
            raise ValueError("an argument holds a zero byte")
        if not value[0].strip():
            raise ValueError("the first argument names the program to run")
        return value

    @field_validator("outputs")
    @classmethod
    def _inside_the_working_directory(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in value:
            if pattern.startswith("/") or ".." in pattern.split("/") or "\x00" in pattern:
                raise ValueError(f"{pattern[:60]!r} leaves the working directory: give paths relative to it")
            if any("**" in part and part != "**" for part in pattern.split("/")):
                raise ValueError(f"{pattern[:60]!r}: ** stands alone between slashes, as in logs/**/*.txt")
        return value

    @model_validator(mode="after")
    def _gang_size(self) -> JobSpec:
        if self.workers * self.gpus_per_worker > 10_000_000:
            raise ValueError("workers x gpus_per_worker is above 10,000,000")
        return self

    @property
    def gpus(self) -> int:
        """GPUs of the whole gang."""
        return self.workers * self.gpus_per_worker

    @property
    def priority(self) -> int:
        """The number that orders priority classes, higher first."""
        return PRIORITY_CLASSES[self.priority_class]

    def shape(self, data_class: DataClass) -> Shape:
        """The part that placement looks at; ``data_class`` is the job's own or, where it names none, its group's."""
        return Shape(
            workers=self.workers,
            gpus_per_worker=self.gpus_per_worker,
            cpus_per_worker=self.cpus_per_worker,
            memory_mib_per_worker=self.memory_per_worker,
            gpu_classes=self.gpu_classes,
            topology=self.topology.preferred,
            data_class=self.data_class or data_class,
            preemptible=self.preemptible,
        )

    @property
    def checkpoint_binds_to_site(self) -> bool:
        """Whether a started job has to go back to the site that holds its checkpoint."""
        return self.checkpoint is not None and self.checkpoint.directory == "auto"
