"""Commands that are known by name and one line of help until they are used: help and completion read no module of theirs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand
from typer.main import get_command, get_group

from scheduler.cli.bilingual import BilingualGroup, translate
from scheduler.cli.language import current_language


class Late(NamedTuple):
    """Where a command or a group of commands is (MODULE:NAME), its help, and the class of one that parses for itself."""

    where: str
    text: str
    cls: type[TyperCommand] | None = None


class LateCommand(TyperCommand):
    """Stands for a command, or for a group of commands, until that is used."""

    def __init__(self, name: str, late: Late) -> None:
        super().__init__(name, help=late.text, params=[])
        self._late = late

    @cached_property
    def real(self) -> Any:
        """The command or group itself, with all its parameters."""
        module, _, attribute = self._late.where.partition(":")
        found = getattr(import_module(module), attribute)
        if isinstance(found, typer.Typer):
            made: Any = get_group(found)
        else:
            alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
            alone.command(self.name, cls=self._late.cls)(found)
            made = get_command(alone)
        made.name = self.name
        return made

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """A context of the real command, in the language that the root has chosen."""
        if current_language() == "ko":
            translate(self.real)
        return self.real.make_context(info_name, args, parent=parent, **extra)


class LateGroup(BilingualGroup):
    """A root whose commands are those of ``late``, by name, and then those that are registered."""

    late: Mapping[str, Late] = {}

    def __init__(self, *, commands: dict[str, Any] | None = None, **rest: Any) -> None:
        stand_ins = {name: LateCommand(name, late) for name, late in self.late.items()}
        super().__init__(commands={**stand_ins, **(commands or {})}, **rest)
