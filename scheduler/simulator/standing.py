"""Standing in a simulation: who lends and who surges is looked at after every instant, so that it counts exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from quota.standing import Standing
from scheduler.cycle.earning import Earnings
from scheduler.cycle.federation import Federation
from scheduler.cycle.plan import Plan
from scheduler.cycle.round import Round
from scheduler.cycle.snapshot import Snapshot
from scheduler.cycle.standing import NO_STANDING
from scheduler.model.ids import GroupId
from scheduler.simulator.history import History, StandingChange
from scheduler.simulator.policy import Policy


class StandingBook:
    """Keeps it where the policy says so."""

    def __init__(self, policy: Policy, history: History) -> None:
        """What it sees is written into ``history``."""
        self._is_kept, self._history = policy.standing, history
        self._earnings = Earnings()

    def look(self, federation: Federation) -> None:
        """Have what counts from now on count from now on: from the moment of which the federation's snapshots speak."""
        if not self._is_kept:
            return
        snapshot = federation.snapshot()
        now_ms, known = snapshot.now_ms, snapshot.standing
        for key, rates in self._earnings.changed(snapshot).items():
            standing = known.kept.get(key, Standing.none(now_ms))
            federation.put_standing(*key, standing.at(known.decay, now_ms).counting(*rates))
            self._history.standings.append(StandingChange(now_ms, *key, *rates))

    def compare(self, snapshot: Snapshot, plan: Plan, decide: Callable[[Snapshot], Plan]) -> None:
        """Count what the round started because of standings: what ``decide`` would not have started without any, and instead of
        what. Asked only where something started above its group's share, since otherwise nobody's turn came by standing."""
        if not self._is_kept or not snapshot.standing.counts or not _is_above_a_share(snapshot, plan):
            return
        with_it, without = _started(snapshot, plan), _started(snapshot, decide(replace(snapshot, standing=NO_STANDING)))
        self._history.sooner_gpus.update(with_it - without)
        self._history.later_gpus.update(without - with_it)


def _started(snapshot: Snapshot, plan: Plan) -> Counter[GroupId]:
    """GPUs that a plan starts by group."""
    found: Counter[GroupId] = Counter()
    for start in plan.starts:
        found[start.group] += start.workers * snapshot.shapes[start.shape].gpus_per_worker
    return found


def _is_above_a_share(snapshot: Snapshot, plan: Plan) -> bool:
    waiting = snapshot.table.group[snapshot.table.rows]
    if not len(plan.starts) or not (waiting != waiting[:1]).any():  # who waits alone has the turn
        return False
    round_, holds = Round(snapshot), dict[tuple[str, int], int]()
    for start in plan.starts:
        key = (start.gpu_class, snapshot.tree.positions[start.group])
        gpus = start.workers * snapshot.shapes[start.shape].gpus_per_worker
        holds[key] = holds.get(key, int(round_.owns[key[0]][key[1]])) + gpus
    return any(gpus > int(round_.shares(gpu_class).own[at]) for (gpu_class, at), gpus in holds.items())
