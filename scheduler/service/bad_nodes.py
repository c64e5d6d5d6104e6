"""The bad-node memory: what ends of runs say against nodes, and the nodes that are set aside for it.

Ends are noted in the transaction that writes them, and it judges the nodes that they speak against: the next round knows.
The rule is ``model.node_fault``'s.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from scheduler.model.job_state import EndCause
from scheduler.model.node_fault import WINDOW_MS, Failure, Standing, asides_max, standing, suspects_of
from scheduler.model.reason import ReasonCode
from scheduler.store import node_failures, nodes
from scheduler.store.jobs import JobRow
from scheduler.store.node_failures import NodeFailure
from scheduler.store.nodes import NodeRow
from scheduler.store.runs import RunRow
from scheduler.store.transaction import WriteTransaction

ACTOR = "scheduler"


class NodeBlame:
    """Collects what the ends of one transaction say against nodes."""

    def __init__(self) -> None:
        self._failures: list[NodeFailure] = []

    def note(self, run: RunRow, job: JobRow, cause: EndCause, ended_ms: int, named: str | None) -> None:
        """A live run has ended. ``named`` is the node whose doing it was, if its site says so."""
        gang = [(part[0], part[1]) for part in run.gang]
        suspected, suspects = suspects_of(cause, gang, named, told_to_stop=run.stop_cause is not None)
        self._failures += (
            NodeFailure(node, run.id, job.person_id, ended_ms, cause.value, suspects) for node in suspected
        )

    def write(self, transaction: WriteTransaction) -> None:
        """Write it down, and set aside the nodes that have to be."""
        if not self._failures:
            return
        _ = transaction.change
        node_failures.add(transaction, self._failures)
        suspected = {each.node_id for each in self._failures}
        known = nodes.by_ids(transaction.connection, suspected)
        against = standings(transaction.connection, list(known.values()), transaction.now_ms)
        for node_id in sorted(known):
            node, how = known[node_id], against[node_id]
            if how.is_bad and node.aside_ms is None and not node.removed:
                _set_aside(transaction, node, how)


def standings(connection: Connection, rows: Sequence[NodeRow], now_ms: int) -> dict[int, Standing]:
    """How nodes stand at a moment, by id."""
    failures: dict[int, list[Failure]] = {node.id: [] for node in rows}
    for each in node_failures.of_nodes(connection, failures, now_ms - WINDOW_MS):
        failures[each.node_id].append(Failure(each.at_ms, each.person_id, each.suspects))
    return {node.id: standing(failures[node.id], now_ms, node.trusted_ms) for node in rows}


def _set_aside(transaction: WriteTransaction, node: NodeRow, how: Standing) -> None:
    """Set a node aside, or tell only that it should be where too many of its site's are already."""
    connection, site_id = transaction.connection, node.site_id
    most = asides_max(nodes.count_of_site(connection, site_id))
    numbers = {"node": node.name, "failures": how.failures, "incidents": how.incidents, "people": how.people}
    numbers["hours"] = WINDOW_MS // 3_600_000
    if nodes.aside_by_site(connection, by=ACTOR).get(site_id, 0) >= most:
        transaction.event("node.suspected", actor=ACTOR, site_id=site_id, data=numbers | {"aside_max": most})
        return
    reason = {"code": ReasonCode.NODE_SET_ASIDE.value, "numbers": numbers}
    nodes.set_aside(transaction, node.id, ACTOR, reason)
    transaction.event("node.set_aside", actor=ACTOR, site_id=site_id, data=numbers)
    transaction.after_commit("scheduler")
