"""Whether a plan leaves everybody's cells clear, by looking at each node: the part of ``check_plan`` that is about cells."""

from __future__ import annotations

from collections.abc import Iterator

from scheduler.cycle.check_stops import start_of
from scheduler.cycle.plan import Plan, Start, StopCause
from scheduler.cycle.snapshot import Snapshot


def wrong_cells(snapshot: Snapshot, plan: Plan) -> Iterator[str]:
    """Work that cannot be called back stays out of others' cells, and that of a group with cells goes nowhere else; a run wholly
    inside cells of groups that it belongs to is not moved, and reclaimed only for others of those groups."""
    cells = snapshot.cells
    if not cells.having:
        return
    for start in [*plan.starts, *(start_of(earmark) for earmark in plan.earmarks)]:
        if start.gpu_class in cells.having and not snapshot.shapes[start.shape].preemptible:
            yield from _in_the_way(snapshot, start)
    groups = {earmark.job: snapshot.path(earmark.group) for earmark in plan.earmarks}
    for stop in plan.stops:
        run = snapshot.runs.get(stop.run)
        if run is None or stop.cause not in (StopCause.RECLAIMED, StopCause.MOVED):
            continue
        home, claimants = snapshot.home(run), None if stop.preemptor is None else groups.get(stop.preemptor)
        if home and (stop.cause is StopCause.MOVED or claimants is None or not home <= claimants):
            yield f"run {stop.run} is ended in a cell of a group that it belongs to"


def _in_the_way(snapshot: Snapshot, start: Start) -> Iterator[str]:
    path, pool = snapshot.tree.path(start.group), snapshot.pools[start.site, start.gpu_class]
    assert pool.pool.terms is not None, "the nodes of a class with cells have terms"
    has_cells = start.group in snapshot.cells.having.get(start.gpu_class, ())
    for node in sorted({part[0] for part in start.gang}):
        holder = snapshot.cells.holders.get(node)
        if holder is not None and holder not in path:
            yield f"job {start.job} could not be called back from node {node} in a cell of group {holder}"
        is_reserved = snapshot.terms[int(pool.pool.terms[pool.index[node]])].holder is not None
        if holder is None and has_cells and not is_reserved:
            yield f"job {start.job} cannot be called back from node {node}, which is in no cell of group {start.group}"
