"""The documents of a previewed change of quotas."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from scheduler.api.cell_documents import CellsInList, CellsOut, cell_documents, cells_of
from scheduler.api.schemas import Amount, GroupPath, Input, TimeText
from scheduler.cycle.preview import Holding
from scheduler.model.job_spec import GPU_CLASS_PATTERN
from scheduler.service.quota_preview import CountChange, HoldingChange, QuotaChange, QuotaPreview
from scheduler.service.time_text import time_text

CHANGES_MAX = 1000


class QuotaChangeIn(Input):
    """A quota to set. A field that is left out keeps what stands; a limit of null is none."""

    group: GroupPath
    gpu_class: Annotated[str, Field(pattern=GPU_CLASS_PATTERN)]
    # Made by factories, so that no default is published: what is left out is as it stands.
    guaranteed: Amount = Field(default_factory=int)
    limit: Amount | None = Field(default_factory=lambda: None)
    borrowing_limit: Amount | None = Field(default_factory=lambda: None)
    lending_limit: Amount | None = Field(default_factory=lambda: None)
    weight: Annotated[int, Field(ge=1, le=1_000_000)] = Field(default_factory=lambda: 1)
    cells: CellsInList = Field(default_factory=list)

    def change(self) -> QuotaChange:
        """What the use case is asked."""
        fields = self.model_dump(exclude={"group", "gpu_class"}, exclude_unset=True)
        if "cells" in fields:
            fields["cells"] = cells_of(self.cells)
        return QuotaChange(group=self.group, gpu_class=self.gpu_class, fields=fields)


class QuotaPreviewIn(Input):
    """Quotas to set all at once."""

    quotas: list[QuotaChangeIn] = Field(min_length=1, max_length=CHANGES_MAX)


class HoldingOut(BaseModel):
    """A group's quota and use of a GPU class. ``used`` is of now, ``used_next`` once the next round is applied.

    ``cells_effective`` of all its cells can be held with the nodes that there are.
    """

    guaranteed: int
    guaranteed_effective: int
    limit: int | None
    borrowing_limit: int | None
    lending_limit: int | None
    weight: int
    cells: list[CellsOut]
    fair_share: int
    used: int
    used_next: int
    cells_effective: int


class HoldingChangeOut(BaseModel):
    """A group and a GPU class as things stand, and as they would."""

    group: str
    gpu_class: str
    before: HoldingOut
    after: HoldingOut


class StartsOut(BaseModel):
    """Waiting jobs that start in the next round."""

    jobs: int
    gpus: int


class StartsChangeOut(BaseModel):
    """By group: what starts. Group null: all together that the caller may not see."""

    group: str | None
    gpu_class: str
    before: StartsOut
    after: StartsOut


class StopsOut(BaseModel):
    """Live runs that the next round stops."""

    runs: int
    gpus: int


class StopsChangeOut(BaseModel):
    """By group and cause: what is stopped. Group null: all together that the caller may not see."""

    group: str | None
    gpu_class: str
    cause: str
    before: StopsOut
    after: StopsOut


class NumberChangeOut(BaseModel):
    """A number as it is, and as it would be."""

    before: int
    after: int


class QuotaPreviewOut(BaseModel):
    """What a change of quotas would do to the next round.

    ``groups``: those that are named and, where something becomes different, those above and beside them.
    ``groups_above_limit``: how many use more than their limit.
    """

    groups: list[HoldingChangeOut]
    starts: list[StartsChangeOut]
    stops: list[StopsChangeOut]
    groups_above_limit: NumberChangeOut
    evaluated_at: TimeText


def preview_document(preview: QuotaPreview) -> QuotaPreviewOut:
    """A preview."""
    before, after = preview.above_limit
    return QuotaPreviewOut(
        groups=[_holding_change(each) for each in preview.groups],
        starts=[_starts_change(each) for each in preview.starts],
        stops=[_stops_change(each) for each in preview.stops],
        groups_above_limit=NumberChangeOut(before=before, after=after),
        evaluated_at=time_text(preview.at_ms),
    )


def _holding_change(row: HoldingChange) -> HoldingChangeOut:
    return HoldingChangeOut(
        group=row.group, gpu_class=row.gpu_class, before=_holding(row.before), after=_holding(row.after)
    )


def _holding(holding: Holding) -> HoldingOut:
    quota = holding.quota
    return HoldingOut(
        guaranteed=quota.guaranteed,
        guaranteed_effective=holding.guaranteed_effective,
        limit=quota.limit,
        borrowing_limit=quota.borrowing_limit,
        lending_limit=quota.lending_limit,
        weight=quota.weight,
        cells=cell_documents(quota.cells),
        fair_share=holding.fair_share,
        used=holding.used,
        used_next=holding.used_next,
        cells_effective=holding.cells_effective,
    )


def _starts_change(row: CountChange) -> StartsChangeOut:
    before, after = (StartsOut(jobs=each.number, gpus=each.gpus) for each in (row.before, row.after))
    return StartsChangeOut(group=row.group, gpu_class=row.gpu_class, before=before, after=after)


def _stops_change(row: CountChange) -> StopsChangeOut:
    before, after = (StopsOut(runs=each.number, gpus=each.gpus) for each in (row.before, row.after))
    cause = "" if row.cause is None else row.cause.value
    return StopsChangeOut(group=row.group, gpu_class=row.gpu_class, cause=cause, before=before, after=after)
