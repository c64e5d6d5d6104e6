"""The nodes a local site declares: from ``--nodes`` arguments or a TOML file.

An argument is ``COUNTxGPUS:CLASS`` with optional parts:
``2x8:h100:cpus=32:memory_mib=65536:pool=a:domain=hall/spine``. A file holds a ``[[nodes]]`` table for each
kind, with the same words as keys (``count``, ``gpus``, ``gpu_class``, …). Nodes are named POOL-NUMBER over
all kinds of a pool.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connectors.errors import SettingsUnusable
from scheduler.model.wire import NodeReport

NODES_MAX = 100_000


class NodeKind(BaseModel):
    """Some equal nodes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = Field(ge=1, le=NODES_MAX)
    gpus: int = Field(ge=1, le=1024)
    gpu_class: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")
    cpus: int = Field(default=64, ge=0, le=100_000)
    memory_mib: int = Field(default=524_288, ge=0)
    pool: str = Field(default="default", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
    domain: tuple[str, ...] = Field(default=(), max_length=3)


def parse_kind(argument: str) -> NodeKind:
    """Read one ``--nodes`` argument. Raises SettingsUnusable, which says how to write it."""
    head, *parts = argument.split(":")
    match = re.fullmatch(r"(\d{1,6})x(\d{1,4})", head)
    options = dict(part.partition("=")[::2] for part in parts[1:])
    if match is None or not parts or not all(options.values()):
        raise SettingsUnusable(
            f"{argument!r} declares no nodes: write COUNTxGPUS:CLASS[:cpus=N][:memory_mib=N][:pool=NAME]"
            "[:domain=HALL/SPINE/LEAF], for example 2x8:h100"
        )
    values: dict[str, Any] = dict(options)
    if "domain" in values:
        values["domain"] = tuple(options["domain"].split("/"))
    return _kind({"count": match[1], "gpus": match[2], "gpu_class": parts[0], **values}, argument)


def read_kinds(path: Path) -> list[NodeKind]:
    """Read a TOML file of ``[[nodes]]`` tables. Raises SettingsUnusable."""
    try:
        tables = tomllib.loads(path.read_text("utf-8")).get("nodes", [])
    except (OSError, ValueError) as fault:
        raise SettingsUnusable(f"{path} cannot be read as TOML: {fault}") from fault
    if not isinstance(tables, list) or not tables:
        raise SettingsUnusable(f"{path} holds no [[nodes]] table")
    return [_kind(table, f"{path}, table {number}") for number, table in enumerate(tables, start=1)]


def _kind(values: Any, where: str) -> NodeKind:
    try:
        return NodeKind.model_validate(values)
    except ValidationError as fault:
        first = fault.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise SettingsUnusable(f"{where}: {name}: {first['msg']}") from fault


def declare(kinds: Iterable[NodeKind]) -> tuple[NodeReport, ...]:
    """The nodes themselves, all healthy."""
    numbers: Counter[str] = Counter()
    nodes: list[NodeReport] = []
    for kind in kinds:
        for _ in range(kind.count):
            nodes.append(
                NodeReport(
                    name=f"{kind.pool}-{numbers[kind.pool]}",
                    pool=kind.pool,
                    gpu_class=kind.gpu_class,
                    gpus=kind.gpus,
                    cpus=kind.cpus,
                    memory_mib=kind.memory_mib,
                    domain=kind.domain,
                )
            )
            numbers[kind.pool] += 1
    return tuple(nodes)


def declare_all(arguments: Sequence[str], file: Path | None) -> tuple[NodeReport, ...]:
    """Nodes of all arguments and of the file. Raises SettingsUnusable when there are none."""
    kinds = [parse_kind(argument) for argument in arguments]
    if file is not None:
        kinds += read_kinds(file)
    if not kinds:
        raise SettingsUnusable("a local site declares its nodes: give --nodes COUNTxGPUS:CLASS or a nodes file")
    return declare(kinds)
