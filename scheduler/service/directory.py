"""Groups as all use cases see them: one immutable view of the tree, with what is inherited worked out."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from scheduler.clock import Clock
from scheduler.model.group_order import GroupOrder
from scheduler.model.shape import DataClass
from scheduler.store import groups as group_rows
from scheduler.store.database import Database
from scheduler.store.groups import ROOT_PATH, Group
from scheduler.store.tables import groups

PUBLIC_SECTOR = "public"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupView:
    """A group with what it inherits."""

    row: Group
    parent_path: str | None
    ancestors: tuple[int, ...]  #: ids from the root down to the group itself
    data_class: DataClass
    trust_domain: str
    output_bytes_max: int | None
    order: GroupOrder

    @property
    def id(self) -> int:
        """The row's id."""
        return self.row.id

    @property
    def path(self) -> str:
        """Names from the root, joined by dots."""
        return self.row.path

    @property
    def public_sector(self) -> bool:
        """Whether the rules for the public sector hold."""
        return self.row.sector == PUBLIC_SECTOR


@dataclass(frozen=True, slots=True, eq=False)
class Directory:
    """All groups at one change."""

    by_id: Mapping[int, GroupView]
    by_path: Mapping[str, GroupView]
    subtree_ids: Mapping[int, tuple[int, ...]]  #: each group's id and those of all below it
    change: int

    @property
    def root(self) -> GroupView:
        """The federation itself."""
        return self.by_path[ROOT_PATH]


def read_directory(connection: Connection) -> Directory:
    """Read the tree as it is now."""
    rows = group_rows.every(connection)
    by_row = {row.id: row for row in rows}
    by_id: dict[int, GroupView] = {}
    below: dict[int, list[int]] = {row.id: [] for row in rows}

    def view(row: Group) -> GroupView:
        known = by_id.get(row.id)
        if known is not None:
            return known
        parent = None if row.parent_id is None else view(by_row[row.parent_id])
        made = by_id[row.id] = _view(row, parent)
        return made

    for row in rows:
        for ancestor in view(row).ancestors:
            below[ancestor].append(row.id)
    return Directory(
        by_id=by_id,
        by_path={each.path: each for each in by_id.values()},
        subtree_ids={group: tuple(ids) for group, ids in below.items()},
        change=max((row.change for row in rows), default=0),
    )


def _view(row: Group, parent: GroupView | None) -> GroupView:
    inherited_domain = (
        row.path if parent is None or parent.row.kind in ("federation", "sector") else parent.trust_domain
    )
    inherited_bytes = None if parent is None else parent.output_bytes_max
    inherited_class = DataClass.OPEN if parent is None else parent.data_class
    inherited_order = GroupOrder.FIFO if parent is None else parent.order
    return GroupView(
        row=row,
        parent_path=None if parent is None else parent.path,
        ancestors=(*(() if parent is None else parent.ancestors), row.id),
        data_class=inherited_class if row.data_class is None else DataClass(row.data_class),
        trust_domain=row.trust_domain or inherited_domain,
        output_bytes_max=inherited_bytes if row.output_bytes_max is None else row.output_bytes_max,
        order=inherited_order if row.job_order is None else GroupOrder(row.job_order),
    )


class Directories:
    """The newest directory, read again when the tree has changed. Thread-safe."""

    def __init__(self, database: Database, clock: Clock, staleness_seconds_max: float) -> None:
        self._database = database
        self._clock = clock
        self._staleness_seconds_max = staleness_seconds_max
        self._lock = threading.Lock()
        self._newest: Directory | None = None
        self._checked_seconds = 0.0

    def newest(self) -> Directory:
        """The tree, at most ``staleness_seconds_max`` old; what this process changed itself shows at once."""
        newest, now_seconds = self._newest, self._clock.monotonic_seconds()
        if newest is not None and now_seconds - self._checked_seconds < self._staleness_seconds_max:
            return newest
        with self._lock, self._database.read() as connection:
            change = connection.execute(select(func.max(groups.c.change))).scalar_one_or_none() or 0
            if self._newest is None or self._newest.change != change:
                self._newest = read_directory(connection)
            self._checked_seconds = now_seconds
            return self._newest

    def forget(self) -> None:
        """Look again at the next question."""
        self._newest = None
