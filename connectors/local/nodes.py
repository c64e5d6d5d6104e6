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
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connectors.errors import SettingsUnusable
from scheduler.model.wire import Name, NodeReport

NODES_MAX = 100_000
#: What an argument may say behind its class.
_OPTIONS = ("cpus", "memory_mib", "pool", "domain")


class NodeKind(BaseModel):
    """Some equal nodes, no wider than what ``NodeReport`` takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = Field(strict=True, ge=1, le=NODES_MAX)
    gpus: int = Field(strict=True, ge=1, le=1024)
    gpu_class: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")
    cpus: int = Field(strict=True, default=64, ge=0, le=100_000)
    memory_mib: int = Field(strict=True, default=524_288, ge=0, le=1_000_000_000)
    pool: str = Field(default="default", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
    domain: tuple[Name, ...] = Field(default=(), max_length=3)


#: By field, what mends it: English and Korean.
_MENDS: Mapping[str, tuple[str, str]] = {
    "count": ("write a whole number from 1 to 100000", "1부터 100000까지의 정수를 쓰십시오"),
    "gpus": ("write a whole number from 1 to 1024", "1부터 1024까지의 정수를 쓰십시오"),
    "gpu_class": (
        "write small letters, digits and -, at most 31, like h100",
        "h100처럼 소문자, 숫자, -로 쓰십시오(31자까지)",
    ),
    "cpus": ("write a whole number from 0 to 100000", "0부터 100000까지의 정수를 쓰십시오"),
    "memory_mib": ("write whole MiB from 0 to 1000000000", "0부터 1000000000까지 MiB 단위의 정수를 쓰십시오"),
    "pool": (
        "write letters, digits, dots, _ and -, at most 63, a letter or digit first",
        "영문자, 숫자, 점, _, -로 쓰십시오(63자까지, 첫 글자는 영문자나 숫자)",
    ),
    "domain": (
        "write at most three names, HALL/SPINE/LEAF, each of letters, digits, dots, _, : and -, a letter or digit first",
        "HALL/SPINE/LEAF처럼 이름을 세 개까지 쓰십시오. 이름은 영문자, 숫자, 점, _, :, -이고 첫 글자는 영문자나 숫자입니다",
    ),
}
_UNKNOWN = (
    f"there is no such word: choose of {', '.join(_MENDS)}",
    f"모르는 항목입니다. 쓸 수 있는 것: {', '.join(_MENDS)}",
)
_NO_TABLE = (
    "write a [[nodes]] table with count, gpus and gpu_class",
    "[[nodes]] 표에 count, gpus, gpu_class를 쓰십시오",
)


def parse_kind(argument: str) -> NodeKind:
    """Read one ``--nodes`` argument. Raises SettingsUnusable, which says how to write it."""
    head, *parts = argument.split(":")
    match = re.fullmatch(r"([0-9]+)x([0-9]+)", head)
    options = [part.partition("=") for part in parts[1:]]
    names = [name for name, _, _ in options]
    if match is None or not parts or not all(text for _, _, text in options) or len({*names}) != len(names):
        form = "COUNTxGPUS:CLASS[:cpus=N][:memory_mib=N][:pool=NAME][:domain=HALL/SPINE/LEAF]"
        raise SettingsUnusable(
            f"--nodes {argument!r} declares no nodes: write {form}, each once, for example 2x8:h100",
            f"--nodes {argument!r}은(는) 노드를 알리지 않습니다. {form} 꼴로 한 번씩 쓰십시오. 예: 2x8:h100",
        )
    where = f"--nodes {argument!r}"
    for name in names:
        if name not in _OPTIONS:
            known = ", ".join(_OPTIONS)
            raise SettingsUnusable(
                f"{where}: {name}: there is no such word: choose of {known}",
                f"{where}: {name}: 모르는 항목입니다. 쓸 수 있는 것: {known}",
            )
    values: dict[str, Any] = {name: _number(text) for name, _, text in options if name in ("cpus", "memory_mib")}
    values |= {name: text for name, _, text in options if name == "pool"}
    values |= {name: tuple(text.split("/")) for name, _, text in options if name == "domain"}
    return _kind({"count": _number(match[1]), "gpus": _number(match[2]), "gpu_class": parts[0], **values}, where)


def _number(text: str) -> int | str:
    """The number that a text writes; what is no number, or longer than any that is taken, stays text."""
    return int(text) if re.fullmatch("[0-9]{1,12}", text) else text


def read_kinds(path: Path) -> list[NodeKind]:
    """Read a TOML file of ``[[nodes]]`` tables. Raises SettingsUnusable."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as fault:
        raise SettingsUnusable(
            f"--nodes-file {path} cannot be read as TOML: {fault}",
            f"--nodes-file {path}을(를) TOML로 읽을 수 없습니다: {fault}",
        ) from fault
    for name in document:
        if name != "nodes":
            raise SettingsUnusable(
                f"--nodes-file {path}: {name}: {_NO_TABLE[0]}, and nothing else",
                f"--nodes-file {path}: {name}: {_NO_TABLE[1]}. 다른 것은 쓸 수 없습니다",
            )
    tables = document.get("nodes")
    if not isinstance(tables, list) or not tables:
        raise SettingsUnusable(
            f"--nodes-file {path}: nodes: {_NO_TABLE[0]}", f"--nodes-file {path}: nodes: {_NO_TABLE[1]}"
        )
    return [_kind(table, f"--nodes-file {path}, nodes {number}") for number, table in enumerate(tables, start=1)]


def _kind(values: Any, where: str) -> NodeKind:
    try:
        return NodeKind.model_validate(values)
    except ValidationError as fault:
        path = fault.errors(include_url=False)[0]["loc"]
    field = str(path[0]) if path else "nodes"
    english, korean = _MENDS.get(field, _UNKNOWN if path else _NO_TABLE)
    raise SettingsUnusable(f"{where}: {field}: {english}", f"{where}: {field}: {korean}")


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
    """Nodes of all arguments and of the file. Raises SettingsUnusable when there are none, or too many."""
    kinds = [parse_kind(argument) for argument in arguments]
    if file is not None:
        kinds += read_kinds(file)
    if not kinds:
        raise SettingsUnusable(
            "a local site declares its nodes: give --nodes COUNTxGPUS:CLASS, or --nodes-file",
            "local 사이트는 노드를 알려야 합니다. --nodes COUNTxGPUS:CLASS나 --nodes-file을 쓰십시오",
        )
    if sum(kind.count for kind in kinds) > NODES_MAX:
        raise SettingsUnusable(
            f"count: a site has at most {NODES_MAX} nodes in all: declare fewer",
            f"count: 한 사이트의 노드는 모두 {NODES_MAX}개까지입니다. 줄이십시오",
        )
    return declare(kinds)
