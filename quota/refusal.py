"""Refusals: the answer "no" as a value, with the numbers that decide it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class RefusalCode(StrEnum):
    """Why something may not be. The callers' own vocabularies map from these."""

    # more GPUs may not start now
    LIMIT_REACHED = "LimitReached"
    BORROWING_LIMIT_REACHED = "BorrowingLimitReached"
    GUARANTEE_REACHED = "GuaranteeReached"  #: asked for inside the guarantee only
    CAPACITY_REACHED = "CapacityReached"
    CAPACITY_HELD = "CapacityHeld"  #: GPUs are free, but others' reserves hold them
    # a change of the tree or of a quota may not be made
    OUT_OF_RANGE = "OutOfRange"
    LIMIT_BELOW_GUARANTEED = "LimitBelowGuaranteed"
    GUARANTEED_BELOW_CHILDREN = "GuaranteedBelowChildren"
    GUARANTEE_EXCEEDED = "GuaranteeExceeded"
    ROOT_QUOTA = "RootQuota"  #: the root has a limit and nothing else: it guarantees what there is
    UNKNOWN_GROUP = "UnknownGroup"
    NAME_TAKEN = "NameTaken"
    GROUP_CYCLE = "GroupCycle"
    # cells may not be granted
    CELLS_BEYOND_PARENT = "CellsBeyondParent"  #: children's cells are some of their parent's
    CELLS_ABOVE_GUARANTEE = "CellsAboveGuarantee"  #: a guarantee holds the GPUs of the cells in it
    CELLS_EXCEEDED = "CellsExceeded"  #: with all granted cells, they cannot be held at once
    CELLS_IN_THE_WAY = "CellsInTheWay"  #: they could, if cells that are bound now lay elsewhere
    CELLS_UNPROVEN = "CellsUnproven"  #: nothing proves that they could, nor that they could not


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The answer "no": ``group`` is the group whose rule refuses, which may lie above the one that asked.

    ``numbers`` by code: admission gives ``asked``, ``used``, ``reserved`` (idle reserves of others that
    count there), ``limit`` (the bound that was met), ``free`` (what would still go, never below 0) and
    ``short`` (what would have to be freed). Guarantee checks give ``asked`` (the sum as it would be) and
    ``limit`` (what it may be). OUT_OF_RANGE and LIMIT_BELOW_GUARANTEED give ``value`` and ``bound``;
    ``field`` names the part of the quota they speak of. Cells give ``asked``, ``limit`` (how many of them
    would be granted), ``short`` (the difference), ``granted`` (to all groups, of the kind that ``field``
    names) and ``bad`` (bad nodes of the class). CELLS_BEYOND_PARENT gives ``asked``, ``limit`` and ``short`` in
    cells, CELLS_ABOVE_GUARANTEE ``asked``, ``limit`` and ``excess`` in GPUs.
    """

    code: RefusalCode
    group: int
    gpu_class: str | None = None
    field: str | None = None
    numbers: Mapping[str, int]
