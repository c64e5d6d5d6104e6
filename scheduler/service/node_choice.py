"""Which nodes of a site are taken back or set aside, and what becomes of the runs on them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from scheduler.cycle.node_choice import choose_nodes as chosen
from scheduler.model.group_order import GroupOrder
from scheduler.service.job_facts import run_fact
from scheduler.service.node_fact import node_fact
from scheduler.store import shapes
from scheduler.store.nodes import NodeRow
from scheduler.store.runs import RunRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """A run that has to go: when it is told to stop, and whether it saves its state then."""

    run: RunRow
    told_ms: int
    nodes: tuple[str, ...]


def start_ms_of(run: RunRow) -> int:
    """When a run began to hold its nodes, as rounds count it."""
    return run.leased_ms if run.started_ms is None else run.started_ms


def over_by(run: RunRow, deadline_ms: int) -> bool:
    """Whether a run is gone by a moment without being told: its walltime is over, or it was told to stop before."""
    if run.stop_cause is not None:
        return True
    return run.walltime_ms is not None and start_ms_of(run) + run.walltime_ms <= deadline_ms


def nodes_held(live: Iterable[RunRow]) -> frozenset[int]:
    """The nodes that runs stand on."""
    return frozenset(part[0] for run in live for part in run.gang)


def departures(live: Sequence[RunRow], node_ids: Collection[int], deadline_ms: int, now_ms: int) -> list[Departure]:
    """The runs that have to leave nodes by a deadline, by id: each is told when its grace is all that is left."""
    return [
        Departure(
            run=run,
            told_ms=max(now_ms, deadline_ms - run.grace_ms),
            nodes=tuple(part[1] for part in run.gang if part[0] in node_ids),
        )
        for run in sorted(live, key=lambda each: each.id)
        if not over_by(run, deadline_ms) and any(part[0] in node_ids for part in run.gang)
    ]


def choose_nodes(
    connection: Connection,
    candidates: Sequence[NodeRow],
    live: Sequence[RunRow],
    needed: int,
    *,
    deadline_ms: int,
    now_ms: int,
) -> list[NodeRow]:
    """``cycle.node_choice`` on rows, in the order of the ``candidates``."""
    known = shapes.by_id(connection, sorted({run.shape_id for run in live if run.shape_id is not None}))
    facts = [run_fact(run, GroupOrder.FIFO) for run in live]
    elastic = [
        fact if run.shape_id is None else fact.elastic_as(known[run.shape_id])
        for run, fact in zip(live, facts, strict=True)
    ]
    found = chosen(list(map(node_fact, candidates)), elastic, needed, deadline_ms=deadline_ms, now_ms=now_ms)
    return [node for node in candidates if node.id in found]
