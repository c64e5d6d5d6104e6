"""What takes lent nodes away before a window ends: a lender's recall, and reservations by those who run the site."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.model.errors import InvariantBroken
from scheduler.model.ids import GroupId, NodeId, SiteId


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """A lender asks for ``nodes`` of what is lent of a class. From ``by_ms`` on no run is left on them, ``node_ids``.

    ``until_ms`` is when they are lent again; None: when the recall is withdrawn.
    """

    site: SiteId
    gpu_class: str
    nodes: int
    by_ms: int
    asked_ms: int
    until_ms: int | None = None
    node_ids: frozenset[NodeId] = frozenset()

    def __post_init__(self) -> None:
        """Raise InvariantBroken for what is no recall."""
        if self.nodes < 1 or self.by_ms < self.asked_ms or not _in_order(self.by_ms, self.until_ms):
            raise InvariantBroken(f"not a recall: {self.nodes} nodes, {self.asked_ms}, {self.by_ms}, {self.until_ms}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Nodes set aside from ``from_ms`` until before ``to_ms`` (None: until it is withdrawn), and why.

    ``group`` may run on them, with those below it; without one nobody may, which is maintenance. ``node_ids`` names
    the nodes, ``nodes`` counts them in ``gpu_class``; with neither it is all of the class, without a class the whole site.
    """

    site: SiteId
    from_ms: int
    to_ms: int | None
    reason: str
    gpu_class: str | None = None
    nodes: int | None = None
    node_ids: frozenset[NodeId] = frozenset()
    group: GroupId | None = None

    def __post_init__(self) -> None:
        """Raise InvariantBroken for what is no reservation."""
        counted = self.nodes is not None
        if not _in_order(self.from_ms, self.to_ms) or (counted and (self.node_ids or self.gpu_class is None)):
            raise InvariantBroken(f"not a reservation: {self}")
        if self.nodes is not None and self.nodes < 1:
            raise InvariantBroken(f"not a reservation: {self}")

    def covers(self, site: SiteId, gpu_class: str) -> bool:
        """Whether it may take nodes of a class at a site."""
        return self.site == site and self.gpu_class in (None, gpu_class)


def _in_order(start_ms: int, end_ms: int | None) -> bool:
    return end_ms is None or start_ms < end_ms
