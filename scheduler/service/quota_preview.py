"""What a change of quotas would do to the live queue. Judged as setting them is, and nothing is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from quota.changes import check_quota_among
from quota.tree import Quota
from scheduler.cycle.cell_grants import why_not_granted
from scheduler.cycle.plan import StopCause
from scheduler.cycle.preview import Count, Holding, Preview, QuotaKey, preview
from scheduler.cycle.snapshot import Snapshot
from scheduler.model.ids import GroupId
from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.service.access import visible_group_ids
from scheduler.service.caller import Caller
from scheduler.service.directory import Directory, read_directory
from scheduler.service.groups import quota_tree, refusal_of_quota
from scheduler.service.quota_fact import in_order
from scheduler.service.quotas import group_to_set, why_unknown
from scheduler.service.runtime import Runtime

RowKey = tuple[str | None, str, StopCause | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaChange:
    """One quota to set. ``fields`` are those of ``quota.tree.Quota`` that change; the others keep what stands."""

    group: str
    gpu_class: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingChange:
    """A group and a GPU class, before and after."""

    group: str
    gpu_class: str
    before: Holding
    after: Holding


@dataclass(frozen=True, slots=True, kw_only=True)
class CountChange:
    """Jobs that start, or runs that are stopped for ``cause``, in the next round without the change and with it.

    ``group`` is None for all groups together that the caller may not see.
    """

    group: str | None
    gpu_class: str
    cause: StopCause | None = None
    before: Count
    after: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaPreview:
    """A change of quotas as its caller may see it. ``above_limit`` counts groups, before and after."""

    at_ms: int
    groups: tuple[HoldingChange, ...]
    starts: tuple[CountChange, ...]
    stops: tuple[CountChange, ...]
    above_limit: tuple[int, int]


def preview_quotas(runtime: Runtime, caller: Caller, changes: Sequence[QuotaChange]) -> QuotaPreview | Refusal:
    """What the next round would do were ``changes`` made; for those who may make them all. The first "no" is the answer."""
    with runtime.database.read() as connection:
        directory = read_directory(connection)
        judged = _judged(connection, runtime.world.snapshot, directory, caller, changes)
    if isinstance(judged, Refusal):
        return judged
    snapshot = runtime.world.snapshot()
    if any(group not in snapshot.groups for group, _ in judged):
        return refuse(ReasonCode.NOT_READY)
    return _as_seen(preview(snapshot, judged), directory, visible_group_ids(directory, caller), snapshot.now_ms)


def _judged(
    connection: Connection,
    snapshot: Callable[[], Snapshot],
    directory: Directory,
    caller: Caller,
    changes: Sequence[QuotaChange],
) -> dict[QuotaKey, Quota] | Refusal:
    """The quotas as a whole, or why one may not be set. Promises are judged when all stand."""
    tree = quota_tree(connection, directory)
    found: dict[QuotaKey, Quota] = {}
    for number, change in enumerate(changes):
        group = group_to_set(directory, caller, change.group)
        if isinstance(group, Refusal):
            return _of_entry(number, group)
        key = (GroupId(group.id), change.gpu_class)
        if key in found:
            return _twice(number)
        unknown = None if key in tree.quotas else why_unknown(connection, change.gpu_class)
        if unknown is not None:
            return _of_entry(number, unknown)
        changed = replace(tree.quota(*key), **change.fields)
        found[key] = replace(changed, cells=in_order(changed.cells))
    every = {(int(group), gpu_class): quota for (group, gpu_class), quota in found.items()}
    for number, (group_id, gpu_class) in enumerate(every):
        refusal = check_quota_among(tree, every, group_id, gpu_class)
        if refusal is None:
            refusal = why_not_granted(snapshot, tree, every, group_id, gpu_class)
        if refusal is not None:
            return _of_entry(number, refusal_of_quota(directory, refusal))
    return found


def _of_entry(number: int, refusal: Refusal) -> Refusal:
    """The same refusal, its fields named by where they stand in the list."""
    return Refusal(
        reasons=tuple(
            reason if reason.field is None else replace(reason, field=f"quotas.{number}.{reason.field}")
            for reason in refusal.reasons
        )
    )


def _twice(number: int) -> Refusal:
    problem = "this group and class stand in the list before: name them once, with all that changes"
    problem_ko = "같은 그룹과 GPU 종류가 앞에도 있습니다. 바꿀 것을 모두 한 번에 쓰십시오"
    return refuse(ReasonCode.INVALID_FIELD, field=f"quotas.{number}", problem=problem, problem_ko=problem_ko)


def _as_seen(found: Preview, directory: Directory, visible: frozenset[int] | None, at_ms: int) -> QuotaPreview:
    """A preview with paths, without the groups that the caller may not see; what starts and stops there is summed up."""

    def path(group: GroupId) -> str | None:
        return (
            directory.by_id[group].path if group in directory.by_id and (visible is None or group in visible) else None
        )

    sides = (found.before, found.after)
    groups = [
        HoldingChange(group=named, gpu_class=key[1], before=holding, after=found.after.holdings[key])
        for key, holding in found.before.holdings.items()
        if (named := path(key[0])) is not None
    ]
    starts = [[((path(at), name, None), count) for (at, name), count in side.starts.items()] for side in sides]
    stops = [[((path(at), name, why), count) for (at, name, why), count in side.stops.items()] for side in sides]
    above = [{group for group, _ in side.above_limit if path(group) is not None} for side in sides]
    return QuotaPreview(
        at_ms=at_ms,
        groups=tuple(groups),
        starts=_rows(starts),
        stops=_rows(stops),
        above_limit=(len(above[0]), len(above[1])),
    )


def _rows(sides: Sequence[Iterable[tuple[RowKey, Count]]]) -> tuple[CountChange, ...]:
    """Counts of before and after side by side, by path; those without one last."""
    found: defaultdict[RowKey, list[Count]] = defaultdict(lambda: [Count(), Count()])
    for number, counts in enumerate(sides):
        for key, count in counts:
            found[key][number] += count
    ordered = sorted(found.items(), key=lambda each: (each[0][0] is None, each[0][0] or "", each[0][1:]))
    return tuple(
        CountChange(group=group, gpu_class=gpu_class, cause=cause, before=before, after=after)
        for (group, gpu_class, cause), (before, after) in ordered
    )
