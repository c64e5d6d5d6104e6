"""The job file: what a researcher writes. One pydantic model, whose JSON schema the API publishes."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, field_validator, model_validator
from pydantic_core import PydanticCustomError

from scheduler.model.array_range import ARRAY_PATTERN, ArrayRange
from scheduler.model.deadline import Deadline
from scheduler.model.dependency import Condition, Dependency
from scheduler.model.duration import DURATION_PATTERN, number_or_text, parse_duration_seconds
from scheduler.model.retry import RetryCount, RetryLimits
from scheduler.model.shape import PRIORITY_CLASSES, DataClass, Shape, Topology
from scheduler.model.worker_range import Workers

DIGEST_PATTERN = r"^sha256:[0-9a-f]{64}$"
GROUP_PATH_PATTERN = r"^[a-z0-9][a-z0-9-]{0,62}(\.[a-z0-9][a-z0-9-]{0,62}){0,7}$"
GPU_CLASS_PATTERN = r"^[a-z0-9][a-z0-9-]{0,30}$"
CHECKPOINT_PATTERN = r"^(auto|s3://[^\s]+|gs://[^\s]+)$"
JOB_NAME_PATTERN = r"^[^\x00-\x1f\x7f/\\]+$"
JSON_SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"
SIGNALS = ("SIGUSR1", "SIGUSR2", "SIGTERM", "SIGINT", "SIGHUP")

_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,255}")
_MEMORY_UNITS = {"": 1, "MiB": 1, "GiB": 1024, "TiB": 1024 * 1024}
WALLTIME_SECONDS_MAX = 366 * 86_400
GRACE_SECONDS_MAX = 3600
MEMORY_MIB_MAX = 64 * 1024 * 1024


def parse_memory_mib(value: Any) -> Any:
    """Read ``4096`` (MiB), ``"512MiB"``, ``"64GiB"`` or ``"1TiB"`` as whole MiB."""
    return _mib_of(value) if isinstance(value, str) else value


@lru_cache(maxsize=4096)
def _mib_of(value: str) -> int:
    match = re.fullmatch(r"\s*(\d{1,9})\s*(MiB|GiB|TiB|)\s*", value)
    if not match:
        raise PydanticCustomError("memory", "write an amount of memory like 512MiB, 64GiB or 1TiB")
    return int(match.group(1)) * _MEMORY_UNITS[match.group(2)]


def parse_command(value: Any) -> Any:
    """Take a list as it stands; run a text by the shell."""
    return ["/bin/sh", "-c", value] if isinstance(value, str) and value.strip() else value


def parse_retries(value: Any) -> Any:
    """Read a number as the retries of the job's own fault; numbers by category as they stand."""
    return value if isinstance(value, dict | RetryLimits) else {"program": value}


GraceSeconds = Annotated[
    int,
    Field(ge=0, le=GRACE_SECONDS_MAX),
    BeforeValidator(parse_duration_seconds),
    number_or_text(0, GRACE_SECONDS_MAX, DURATION_PATTERN),
]
WalltimeSeconds = Annotated[
    int,
    Field(ge=1, le=WALLTIME_SECONDS_MAX),
    BeforeValidator(parse_duration_seconds),
    number_or_text(1, WALLTIME_SECONDS_MAX, DURATION_PATTERN),
]
MemoryMib = Annotated[
    int,
    Field(ge=1, le=MEMORY_MIB_MAX),
    BeforeValidator(parse_memory_mib),
    number_or_text(1, MEMORY_MIB_MAX, r"^\s*\d{1,9}\s*(MiB|GiB|TiB|)\s*$"),
]
Retries = Annotated[RetryLimits, BeforeValidator(parse_retries, json_schema_input_type=RetryCount | RetryLimits)]
#: A folder in a file; by the time that it is sent, the digest of the uploaded archive.
WorkingDirectory = Annotated[
    str, Field(pattern=DIGEST_PATTERN), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 4096})
]
Argument = Annotated[str, Field(max_length=65_536)]
GpuClassName = Annotated[str, Field(pattern=GPU_CLASS_PATTERN)]
JobNumber = Annotated[int, Field(ge=1, le=2**53)]
DEPENDENCIES_MAX = 64


class Part(BaseModel):
    """Base of the job file's parts: unknown fields are refused, so that a typing error is not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=False)


class CheckpointSpec(Part):
    """How the job saves its state. ``directory`` is ``auto`` (the site keeps one for the job, and the job goes back to
    that site) or the address of an object store, which every site reaches."""

    directory: str = Field(
        default="auto",
        max_length=1024,
        pattern=CHECKPOINT_PATTERN,
        description="auto: the site keeps a folder for the job. Else the address of an object store, s3://… or gs://….",
    )
    signal: str = Field(
        default="SIGUSR1",
        json_schema_extra={"enum": list(SIGNALS)},
        description="What every process of the job that handles it is sent when it should save its state and end.",
    )
    grace_seconds: GraceSeconds = Field(
        default=60,
        alias="grace",
        description="How long it may take to save: seconds, or a text like 90s or 2m. SIGTERM comes at half of it.",
    )

    @field_validator("signal")
    @classmethod
    def _known_signal(cls, value: str) -> str:
        if value not in SIGNALS:
            raise PydanticCustomError("choice", "choose one of {known}", {"known": ", ".join(SIGNALS)})
        return value


class TopologySpec(Part):
    """How close the gang's workers should be, and have to be. Where no place of the preferred level is free a looser one is
    taken, but none that is looser than what is required."""

    preferred: Topology = Field(
        default=Topology.ANY,
        description="The closest level within which the workers should lie: node, leaf, spine, hall, site or any.",
    )
    required: Topology = Field(
        default=Topology.ANY,
        description="The level within one domain of which they have to lie: the job waits until there is such a place.",
    )


class JobSpec(Part):
    """A job as submitted. A gang of ``workers`` equal workers starts as a whole or not at all; an elastic one has any number
    of them in a range."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        title="Dure job",
        json_schema_extra={"$schema": JSON_SCHEMA_DIALECT, "$id": "urn:dure:job-file:1"},
    )

    name: str = Field(
        min_length=1,
        max_length=128,
        pattern=JOB_NAME_PATTERN,
        description="What people call the job; it need not be unique.",
    )
    group: str = Field(
        pattern=GROUP_PATH_PATTERN,
        max_length=400,
        description="Path of the group whose quota it uses, e.g. research.kaist.vision.",
    )
    workers: Workers = Field(
        default=1,
        description="Equal processes that start together or not at all: a number, or for an elastic gang "
        "{min: 2, max: 8}.",
    )
    gpus_per_worker: int = Field(default=1, ge=1, le=1024, description="GPUs of each worker, on one node.")
    gpu_classes: tuple[GpuClassName, ...] = Field(
        default=(), max_length=16, description="Any of these, the preferred first, e.g. [h100, a100]; none: any class."
    )
    speeds: dict[GpuClassName, Annotated[float, Field(gt=0, le=1000)]] = Field(
        default_factory=dict,
        max_length=16,
        description="How fast it runs on each class, relative to one another, where nothing like it ran: {h100: 1, a100: 0.45}.",
    )
    cpus_per_worker: int = Field(default=1, ge=1, le=4096, description="CPU cores of each worker.")
    memory_per_worker: MemoryMib = Field(
        default=1024, description="Memory of each worker: MiB, or a text like 512MiB, 64GiB or 1TiB."
    )
    walltime: WalltimeSeconds | None = Field(
        default=None,
        description="When a run is ended: seconds, or a text like 90s, 1h30m, 2d or 02:30:00; none: never.",
    )
    preemptible: bool = Field(
        default=True,
        description="Whether it may be sent back to the queue. One that may not starts inside its group's guarantee.",
    )
    checkpoint: CheckpointSpec | None = Field(
        default=None, description="How it saves its state; none: it begins anew when it was interrupted."
    )
    topology: TopologySpec = Field(default=TopologySpec(), description="How close its workers should lie.")
    data_class: DataClass | None = Field(
        default=None, description="Grade of its data: C, S or O. None: its group's. It decides which sites may run it."
    )
    priority_class: str = Field(
        default="normal",
        json_schema_extra={"enum": list(PRIORITY_CLASSES)},
        description="Its place among its group's jobs.",
    )
    retries: Retries = Field(
        default=RetryLimits(),
        description="How often it is run again after it failed: a number, for its own fault; or numbers by category.",
    )
    deadline: Deadline | None = Field(
        default=None,
        description="By when it has to be over: a time like 2026-12-24T18:00, Korean time or with an offset, or how long "
        "after its submission, like 12h. Cancelled once it cannot; a run is ended by its walltime alone.",
    )
    after: tuple[JobNumber, ...] = Field(
        default=(),
        max_length=DEPENDENCIES_MAX,
        description="Numbers of jobs or arrays that have to have started, or ended, before it starts.",
    )
    after_ok: tuple[JobNumber, ...] = Field(
        default=(),
        max_length=DEPENDENCIES_MAX,
        description="Numbers of jobs or arrays that have to have succeeded before it starts; it is cancelled when one "
        "of them fails or is cancelled.",
    )
    array: str | None = Field(
        default=None,
        max_length=4096,
        pattern=ARRAY_PATTERN,
        description="Tasks of a job array: 0-99, 1,4-9 or 0-30:10; with %10 at the end at most 10 of them run at once.",
    )
    environment: dict[str, str] = Field(
        default_factory=dict,
        max_length=512,
        description="Variables for every worker; put numbers in quotes. Names that begin with DURE_ are taken.",
    )
    working_directory: WorkingDirectory | None = Field(
        default=None,
        description="A folder, relative to the job file, that is sent along; or sha256:…, the digest of one sent before.",
    )
    image: str | None = Field(
        default=None,
        min_length=1,
        max_length=512,
        description="Container image, for sites that run containers. Ray and local sites do not, and run the command "
        "as it stands.",
    )
    command: Annotated[tuple[Argument, ...], BeforeValidator(parse_command, json_schema_input_type=str | list[str])] = (
        Field(
            min_length=1,
            max_length=1024,
            description="A list of program and arguments, run as it stands; or a text, run by /bin/sh.",
        )
    )
    outputs: tuple[Annotated[str, Field(min_length=1, max_length=512)], ...] = Field(
        default=(),
        max_length=64,
        description="Files to collect at the end, relative to the working directory: *, ? and [] within a name, ** for "
        "any folders; a folder stands for all in it.",
    )
    outputs_limit: MemoryMib | None = Field(
        default=None,
        description="How large the files together may be: MiB, or a text like 512MiB, 64GiB or 1TiB; never more than the "
        "group allows. None: as much as that.",
    )

    @field_validator("gpu_classes")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise PydanticCustomError("repeated", "name each GPU class once")
        return value

    @field_validator("after", "after_ok")
    @classmethod
    def _named_once(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) != len(value):
            raise PydanticCustomError("named_twice", "name each once")
        return value

    @field_validator("array")
    @classmethod
    def _an_array(cls, value: str | None) -> str | None:
        if value is not None:
            ArrayRange.read(value)
        return value

    @field_validator("priority_class")
    @classmethod
    def _known_priority(cls, value: str) -> str:
        if value not in PRIORITY_CLASSES:
            raise PydanticCustomError("choice", "choose one of {known}", {"known": ", ".join(PRIORITY_CLASSES)})
        return value

    @field_validator("environment")
    @classmethod
    def _usable_environment(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not _VARIABLE_NAME.fullmatch(name):
                raise PydanticCustomError(
                    "variable_name",
                    "{name} is not a usable variable name: letters, digits and _ only",
                    {"name": repr(name[:40])},
                )
            if name.startswith("DURE_"):
                raise PydanticCustomError(
                    "variable_reserved", "names that begin with DURE_ are given by the federation: choose another"
                )
            if len(text) > 65_536 or "\x00" in text:
                raise PydanticCustomError(
                    "variable_value",
                    "the value of {name} is longer than 65,536 or holds a zero byte: put it into a file",
                    {"name": name},
                )
        return value

    @field_validator("command")
    @classmethod
    def _no_zero_bytes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "\x00" in "".join(value):
            raise PydanticCustomError("zero_byte", "an argument holds a zero byte: leave it out")
        if not value[0].strip():
            raise PydanticCustomError("no_program", "the first argument names the program to run")
        return value

    @field_validator("outputs")
    @classmethod
    def _inside_the_working_directory(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in value:
            if pattern.startswith("/") or ".." in pattern.split("/") or "\x00" in pattern:
                raise PydanticCustomError(
                    "outside",
                    "{path} leaves the working directory: give paths relative to it",
                    {"path": repr(pattern[:60])},
                )
            if any("**" in part and part != "**" for part in pattern.split("/")):
                raise PydanticCustomError(
                    "stars",
                    "{path}: ** stands alone between slashes, as in logs/**/*.txt",
                    {"path": repr(pattern[:60])},
                )
        return value

    @model_validator(mode="after")
    def _speeds_of_its_classes(self) -> JobSpec:
        for name in self.speeds:
            if self.gpu_classes and name not in self.gpu_classes:
                raise PydanticCustomError(
                    "speed_elsewhere",
                    "speeds: {name} is not one of gpu_classes: name it there too, or leave its speed out",
                    {"name": name},
                )
        return self

    @model_validator(mode="after")
    def _gang_size(self) -> JobSpec:
        if self.workers_max * self.gpus_per_worker > 10_000_000:
            raise PydanticCustomError("gang_size", "workers x gpus_per_worker is above 10,000,000: ask for fewer")
        return self

    @property
    def workers_min(self) -> int:
        """How many workers it has at the least."""
        return self.workers if isinstance(self.workers, int) else self.workers.min

    @property
    def workers_max(self) -> int:
        """How many workers it has at the most."""
        return self.workers if isinstance(self.workers, int) else self.workers.max

    @property
    def gpus(self) -> int:
        """GPUs of the whole gang, of an elastic one at the least."""
        return self.workers_min * self.gpus_per_worker

    @property
    def priority(self) -> int:
        """The number that orders priority classes, higher first."""
        return PRIORITY_CLASSES[self.priority_class]

    def shape(self, data_class: DataClass) -> Shape:
        """The part that placement looks at; ``data_class`` is the job's own or, where it names none, its group's."""
        return Shape(
            workers=self.workers_min,
            gpus_per_worker=self.gpus_per_worker,
            cpus_per_worker=self.cpus_per_worker,
            memory_mib_per_worker=self.memory_per_worker,
            gpu_classes=self.gpu_classes,
            topology=self.topology.preferred,
            data_class=self.data_class or data_class,
            preemptible=self.preemptible,
            required=self.topology.required,
            workers_max=self.workers_max if self.workers_max > self.workers_min else None,
        )

    @property
    def dependencies(self) -> tuple[Dependency, ...]:
        """What it waits for of other jobs, in the order of its file."""
        started = tuple(Dependency(job, Condition.START) for job in self.after)
        return started + tuple(Dependency(job, Condition.SUCCESS) for job in self.after_ok)

    @property
    def tasks(self) -> ArrayRange | None:
        """Which tasks it has as an array; None for one job."""
        return None if self.array is None else ArrayRange.read(self.array)

    @property
    def checkpoint_binds_to_site(self) -> bool:
        """Whether a started job has to go back to the site that holds its checkpoint."""
        return self.checkpoint is not None and self.checkpoint.directory == "auto"
