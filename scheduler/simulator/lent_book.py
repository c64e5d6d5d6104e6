"""What is lent in a simulation as its time goes by: when to look again, who has to be told, and that nothing is kept too long."""

from __future__ import annotations

from collections.abc import Collection

from scheduler.cycle.federation import Federation
from scheduler.cycle.give_back import taken_back
from scheduler.cycle.plan import Plan
from scheduler.cycle.snapshot import Snapshot
from scheduler.cycle.stay import NEVER_MS
from scheduler.model.errors import InvariantBroken
from scheduler.model.ids import NodeId
from scheduler.simulator.credits import Credits
from scheduler.simulator.history import History
from scheduler.simulator.lenders import Lenders
from scheduler.simulator.live import Live
from scheduler.simulator.nodes import Nodes


class LentBook:
    """``changes_ms`` is when lenders ask for something, lend otherwise, or runs have to be told to go; ``tells_now``: some
    have to be at the moment that was looked at last."""

    def __init__(self, federation: Federation, lenders: Lenders, nodes: Nodes, history: History, grace_ms: int) -> None:
        self._federation, self._lenders, self._nodes, self._history = federation, lenders, nodes, history
        self._grace_ms, self._credits = grace_ms, Credits(lenders.offers)
        self.changes_ms = NEVER_MS
        self.nodes_changed = self.tells_now = False

    def lend(self, now_ms: int) -> bool:
        """Let lenders speak, and work out what is lent now; answer whether nodes may have come or gone."""
        changed, self.nodes_changed = self.nodes_changed or now_ms >= self.changes_ms, False
        lenders, federation = self._lenders, self._federation
        if lenders.hear(now_ms, self._nodes.broken, federation.live_runs.values()):
            federation.set_lending(lenders.offers, lenders.recalls, lenders.reservations)
            changed = True
        federation.lend(now_ms)
        self.changes_ms = min(federation.lending_changes_ms, lenders.next_ms)
        return changed

    def see(self, snapshot: Snapshot) -> None:
        """Keep the books of what is lent, and know when runs have to be told to go: when their grace is all that is left."""
        capacity, devices = self._history.capacity, sum(pool.gpus for pool in snapshot.pools.values())
        if not capacity or capacity[-1][1] != devices:
            capacity.append((snapshot.now_ms, devices))
        self.tells_now = False
        if not self._grace_ms:
            return
        for pool in snapshot.pools.values():
            if pool.pool.until_ms is not None:
                told_ms = pool.pool.until_ms - self._grace_ms
                self.changes_ms = min(self.changes_ms, int(told_ms[told_ms > snapshot.now_ms].min(initial=NEVER_MS)))
                self.tells_now |= bool((told_ms == snapshot.now_ms).any())

    def note(self, snapshot: Snapshot, plan: Plan, now_ms: int) -> None:
        """Know at which rates a plan's starts are owed for."""
        if self._credits.is_any:
            self._credits.note(snapshot, plan, now_ms)

    def close(self) -> None:
        """Write into the history what lenders asked for, had, and are owed."""
        history, lenders = self._history, self._lenders
        history.recalled_nodes, history.recalls = (lenders.asked, lenders.granted), tuple(lenders.recalls)
        history.lender_credits = self._credits.owed(history.segments) if self._credits.is_any else None

    def check_given_back(self, snapshot: Snapshot, runs: Collection[Live], now_ms: int) -> None:
        """Law 5: at the deadline no run is left, but where nodes broke so that fewer are there to be lent."""
        until = taken_back(snapshot)
        for live in runs if until else ():
            late = any(until.get(NodeId(index + 1), NEVER_MS) <= now_ms for index, _ in live.gang)
            if late and not (live.stopping and self._nodes.broken):
                raise InvariantBroken(f"run {live.run} is on nodes at {now_ms} ms that were taken back")
