"""Whether a plan's stops and earmarks are lawful, by adding up: the part of ``check_plan`` that is about runs in the way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from quota.admission import Usage
from scheduler.cycle.facts import LiveRun
from scheduler.cycle.plan import Earmark, Plan, Start, Stop, StopCause
from scheduler.cycle.snapshot import Snapshot
from scheduler.cycle.stay import NEVER_MS
from scheduler.model.ids import GroupId, NodeId, RunId

#: GPUs, CPUs, memory (MiB)
Amounts = tuple[int, int, int]


def start_of(earmark: Earmark) -> Start:
    """What an earmark is meant to become."""
    return Start(earmark.job, earmark.group, earmark.shape, earmark.site, earmark.gpu_class, earmark.gang)


def wrong_earmarks(snapshot: Snapshot, plan: Plan) -> Iterator[str]:
    """Redeemed are jobs with an earmark, on its nodes, with room beside all runs; withdrawn are others with one."""
    settled = [start.job for start in plan.redeemed] + list(plan.withdrawn)
    if not settled:
        return
    use, live = _use_of_runs(snapshot, frozenset()), {run.job for run in snapshot.runs.values()}
    if len(set(settled)) != len(settled):
        yield "an earmark is settled twice"
    for job in settled:
        if job not in snapshot.earmarks:
            yield f"job {job} has none"
    for start in plan.redeemed:
        earmark = snapshot.earmarks.get(start.job)
        if earmark is None:
            continue
        if start.job in live:
            yield f"job {start.job} starts beside its own run"
        same = (start.site, start.gpu_class, start.shape) == (earmark.site, earmark.gpu_class, earmark.job.shape)
        if not same or tuple((node, workers) for node, _, _, workers in start.gang) != earmark.gang:
            yield f"job {start.job} starts on other nodes than were held"
        _hold(use, ((node, workers) for node, _, _, workers in start.gang), _amounts_of(snapshot, start))
        if (group := _above_bound_beside_leavers(snapshot, start)) is not None:
            yield f"job {start.job} starts while what is leaving keeps group {group} above its bound"
        for node in {part[0] for part in start.gang}:
            if not _fits(snapshot, node, use[node]):
                yield f"job {start.job} has no room on node {node}"


def _above_bound_beside_leavers(snapshot: Snapshot, start: Start) -> GroupId | None:
    tree, capacity = snapshot.tree.of_class(start.gpu_class), snapshot.capacity(start.gpu_class)
    use = snapshot.use(start.gpu_class)
    usage, going = Usage(tree, capacity, use.counted), Usage(tree, capacity, use.leaving).used
    for group in snapshot.tree.path(start.group):
        at = tree.position(group)
        if going[at] and usage.held()[at] > usage.bound[at]:
            return GroupId(group)
    return None


def wrong_stops(snapshot: Snapshot, plan: Plan) -> Iterator[str]:
    """Runs that may be ended, each once, for a job that is earmarked in this plan."""
    earmarked = {earmark.job: earmark for earmark in plan.earmarks}
    for job in sorted(earmarked.keys() - {stop.preemptor for stop in plan.stops}):
        yield f"nodes are held for job {job}, for which nobody makes way"
    yield from _wrong_recalls(snapshot, plan)
    seen: set[RunId] = set()
    for stop in plan.stops:
        run = snapshot.runs.get(stop.run)
        if run is None or run.leaving or run.job != stop.job or stop.run in seen:
            yield f"run {stop.run} is not there to be ended"
            continue
        seen.add(stop.run)
        if stop.grace_ms < run.grace_ms:
            yield f"run {stop.run} gets {stop.grace_ms} ms of its {run.grace_ms} ms of grace"
        if _gives_back(stop):
            continue
        if not run.preemptible:
            yield f"run {stop.run} may not be preempted"
        if snapshot.now_ms - run.started_ms < snapshot.preemption.minimum_run_ms:
            yield f"run {stop.run} has not had its minimum run time"
        if stop.cause is StopCause.GROWN:  # for its own job, of which ``check_sizes`` speaks
            continue
        earmark = None if stop.preemptor is None else earmarked.get(stop.preemptor)
        if earmark is None:
            yield f"run {stop.run} is ended for nobody"
        else:
            yield from _wrong_cause(snapshot, plan, stop, earmark)


def _wrong_recalls(snapshot: Snapshot, plan: Plan) -> Iterator[str]:
    """Recalled are the runs whose nodes are taken back when their grace is over, or before, and no others."""
    going = {stop.run for stop in plan.stops if _gives_back(stop)}
    if not going and all(pool.pool.until_ms is None for pool in snapshot.pools.values()):
        return
    for run in snapshot.runs.values():
        pool = snapshot.pools.get((run.site, run.gpu_class))
        there = [
            node for node, _ in run.gang if pool is not None and node in pool.index and snapshot.nodes[node].healthy
        ]
        until = [snapshot.left_until_ms(pool, pool.index[node], run.group) for node in there if pool is not None]
        over = run.expected_end_ms
        taken = any(
            at_ms < NEVER_MS and at_ms - run.grace_ms <= snapshot.now_ms and (over is None or over > min(until))
            for at_ms in until
        )
        if taken and not run.leaving and run.id not in going:
            yield f"run {run.id} stays on nodes that are taken back"
        if run.id in going and not taken:
            yield f"run {run.id} is ended though its nodes are lent on"


def _gives_back(stop: Stop) -> bool:
    """Whether a run goes because of its lender; one that shrinks for that does it for no job's sake."""
    return stop.cause is StopCause.RECALLED or (stop.cause is StopCause.SHRUNK and stop.preemptor is None)


def _wrong_cause(snapshot: Snapshot, plan: Plan, stop: Stop, earmark: Earmark) -> Iterator[str]:
    run = snapshot.runs[stop.run]
    if stop.cause is StopCause.PREEMPTED:
        if run.group != earmark.group:
            yield f"run {stop.run} is preempted for another group"
        turn = snapshot.table.turn_of(earmark.job)
        if turn is None or run.priority >= -turn[0]:
            yield f"run {stop.run} is preempted for a job of no higher priority"
    elif stop.cause is StopCause.MOVED:
        if run.job not in {each.job for each in plan.moves}:
            yield f"run {stop.run} is moved to nowhere"
    elif stop.cause is StopCause.SHRUNK:
        if run.group == earmark.group and not _may_take_from(snapshot, run, earmark):
            yield f"run {stop.run} shrinks for a job of lower priority"
    elif stop.cause is not StopCause.RECLAIMED or run.group == earmark.group:
        yield f"run {stop.run} is ended because of {stop.cause.value}"


def _may_take_from(snapshot: Snapshot, run: LiveRun, earmark: Earmark) -> bool:
    turn = snapshot.table.turn_of(earmark.job)
    return turn is not None and run.priority <= -turn[0]


def overfull_soon(snapshot: Snapshot, plan: Plan) -> Iterator[str]:
    """What this plan holds for jobs beside everything that stays: runs that do not leave, starts, and earmarks from before."""
    if not plan.earmarks and not plan.sizes:
        return
    leaving = {run.id for run in snapshot.runs.values() if run.leaving} | {stop.run for stop in plan.stops}
    use = _use_of_runs(snapshot, frozenset(leaving))
    for earmark in snapshot.earmarks.values():
        shape = snapshot.shapes[earmark.job.shape]
        _hold(use, earmark.gang, (shape.gpus_per_worker, shape.cpus_per_worker, shape.memory_mib_per_worker))
    pledged = [start_of(earmark) for earmark in (*plan.earmarks, *plan.moves, *plan.sizes)]
    for start in [*plan.starts, *pledged]:
        _hold(use, ((node, workers) for node, _, _, workers in start.gang), _amounts_of(snapshot, start))
    for node in sorted({part[0] for start in pledged for part in start.gang}):
        if not _fits(snapshot, node, use[node]):
            yield f"node {node} would hold {use[node]} once the runs that leave are gone"


def _use_of_runs(snapshot: Snapshot, without: frozenset[RunId]) -> defaultdict[NodeId, list[int]]:
    use: defaultdict[NodeId, list[int]] = defaultdict(lambda: [0, 0, 0])
    for run in snapshot.runs.values():
        if run.id not in without:
            _hold(use, run.gang, (run.gpus_per_worker, run.cpus_per_worker, run.memory_mib_per_worker))
    return use


def _hold(use: defaultdict[NodeId, list[int]], gang: Iterable[tuple[NodeId, int]], amounts: Amounts) -> None:
    for node, workers in gang:
        for at, amount in enumerate(amounts):
            use[node][at] += workers * amount


def _amounts_of(snapshot: Snapshot, start: Start) -> Amounts:
    shape = snapshot.shapes[start.shape]
    return shape.gpus_per_worker, shape.cpus_per_worker, shape.memory_mib_per_worker


def _fits(snapshot: Snapshot, node_id: NodeId, use: list[int]) -> bool:
    node = snapshot.nodes.get(node_id)
    if node is None or not node.healthy:
        return False
    return use[0] <= node.gpus and use[1] <= node.cpus and use[2] <= node.memory_mib
