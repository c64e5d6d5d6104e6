"""A plan's stops with the earmarks that they serve, written under the leader's fencing number: all of it or none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

from scheduler.cycle.plan import Earmark, Plan, Stop, StopCause
from scheduler.model.ids import JobId, RunId
from scheduler.model.job_state import JobState, RunPhase
from scheduler.model.site import SiteState
from scheduler.service.earmark import Held
from scheduler.service.follow import newest_rules_change
from scheduler.store import jobs, nodes, runs, sites
from scheduler.store.jobs import JobRow
from scheduler.store.runs import RunRow
from scheduler.store.transaction import WriteTransaction

ACTOR = "scheduler"
STOPS_A_TRANSACTION = 2_000
_SIZING = (StopCause.SHRUNK, StopCause.GROWN)
#: States of a job that a stop changes; one whose site is silent shows it when the site is heard again.
_RUNS_ON = frozenset({JobState.LEASED.value, JobState.STARTING.value, JobState.RUNNING.value})


@dataclass(frozen=True, slots=True)
class Clearing:
    """Stops that make room for one job, and the nodes that are held for it; the stops of a recall, and of a run that grows, serve
    nobody else here.

    ``moves`` are the nodes that are held for jobs whose runs are stopped to go on there, moved or with another number of workers.
    """

    preemptor: JobId | None
    earmark: Earmark | None
    stops: tuple[Stop, ...]
    moves: tuple[Earmark, ...] = ()


@dataclass(slots=True)
class Cleared:
    """What was written: runs told to stop by cause, and earmarks, those of moved jobs included."""

    stops: Counter[str] = field(default_factory=Counter)
    earmarks: int = 0

    @property
    def count(self) -> int:
        """How many things that is."""
        return self.stops.total() + self.earmarks


def clearings_of(plan: Plan, stops_max: int = STOPS_A_TRANSACTION) -> Iterator[list[Clearing]]:
    """The plan's stops and earmarks, cut into transactions of about ``stops_max`` stops."""
    stops: dict[JobId | None, list[Stop]] = {}
    sizes = {size.job: size for size in plan.sizes}
    alone = [stop for stop in plan.stops if stop.preemptor is None and stop.cause in _SIZING]
    for stop in plan.stops:
        if stop.preemptor is not None or stop.cause not in _SIZING:
            stops.setdefault(stop.preemptor, []).append(stop)
    makes_way = {stop.job: stop.preemptor for stop in plan.stops}
    moves: dict[JobId | None, list[Earmark]] = {}
    for move in (*plan.moves, *plan.sizes):
        moves.setdefault(makes_way[move.job], []).append(move)
    together = [
        Clearing(each.job, each, tuple(stops.pop(each.job, ())), tuple(moves.pop(each.job, ())))
        for each in plan.earmarks
    ]
    together += [Clearing(preemptor, None, tuple(part)) for preemptor, part in stops.items()]
    # Runs that grow, or shrink for their lender, have nothing to do with each other.
    together += [Clearing(None, None, (stop,), (sizes[stop.job],) if stop.job in sizes else ()) for stop in alone]
    part, size = list[Clearing](), 0
    for clearing in together:
        part.append(clearing)
        size += len(clearing.stops) + 1
        if size >= stops_max:
            yield part
            part, size = [], 0
    if part:
        yield part


def commit_clearings(
    transaction: WriteTransaction, clearings: Sequence[Clearing], rules_change: int | None = None
) -> Cleared:
    """Hold nodes for jobs that still wait, and tell the runs in their way to stop.

    A job that waits no more has nobody stopped for it. A run that is gone or going anyway is left alone: the nodes will
    be free. ``rules_change`` as in ``commit_starts``.
    """
    _ = transaction.change
    if rules_change is not None and rules_change != newest_rules_change(transaction.connection):
        return Cleared()
    stops = [stop for each in clearings for stop in each.stops]
    wanted = {each.preemptor for each in clearings if each.preemptor is not None} | {stop.job for stop in stops}
    known = jobs.by_ids(transaction.connection, sorted(wanted))
    live = runs.by_ids(transaction.connection, [stop.run for stop in stops])
    active = {row.id for row in sites.every(transaction.connection) if row.state == SiteState.ACTIVE.value}
    places = {earmark.site for each in clearings for earmark in _held_in(each)}
    aside = nodes.aside_ids(transaction.connection) if places else frozenset()
    work = _Work(transaction, known, live, runs.leaving(transaction.connection, places))
    for clearing in clearings:
        if _still_serves(clearing, known, active, aside):
            work.take(clearing)
    return work.write()


def withdraw_earmarks(transaction: WriteTransaction, job_ids: Iterable[JobId]) -> int:
    """Hold nothing for these jobs any more; answer how many that changed."""
    _ = transaction.change
    held = [job for job in jobs.by_ids(transaction.connection, job_ids).values() if job.earmark is not None]
    jobs.change_many(transaction, ("earmark",), [(job.id, None) for job in held])
    for job in held:
        site = None if job.earmark is None else Held.read(job.earmark).site
        transaction.event("job.earmark_withdrawn", actor=ACTOR, job_id=job.id, group_id=job.group_id, site_id=site)
        transaction.after_commit(f"job:{job.id}")
    return len(held)


def _held_in(clearing: Clearing) -> tuple[Earmark, ...]:
    return clearing.moves if clearing.earmark is None else (clearing.earmark, *clearing.moves)


def _still_serves(clearing: Clearing, known: Mapping[int, JobRow], active: Set[int], aside: Set[int]) -> bool:
    """Whether the job for which room is made is still there to take it, and has not got other nodes meanwhile."""
    held = _held_in(clearing)
    if not all(each.site in active and aside.isdisjoint(part[0] for part in each.gang) for each in held):
        return False
    if clearing.preemptor is None:
        return True
    job, earmark = known.get(clearing.preemptor), clearing.earmark
    if job is None or job.state != JobState.QUEUED.value:
        return False
    if earmark is None:
        return job.earmark is not None
    return (
        job.earmark is None
        and job.bound_site_id in (None, earmark.site)
        and (job.group_id, job.shape_id) == (earmark.group, earmark.shape)
    )


class _Work:
    """Rows of one transaction, collected."""

    def __init__(
        self,
        transaction: WriteTransaction,
        known: Mapping[int, JobRow],
        live: Mapping[int, RunRow],
        leaving: Iterable[RunRow],
    ) -> None:
        self._transaction = transaction
        self._known = known
        self._live = live
        self._leaving_on: dict[int, list[RunRow]] = {}
        for run in leaving:
            for node in {part[0] for part in run.gang}:
                self._leaving_on.setdefault(node, []).append(run)
        self._runs: dict[int, tuple[object, ...]] = {}
        self._jobs: list[tuple[object, ...]] = []
        self._earmarks: list[tuple[object, ...]] = []
        self._done = Cleared()

    def take(self, clearing: Clearing) -> None:
        """Stops, and what they are for."""
        told = {stop.run: self._stop(stop) for stop in clearing.stops}
        gone_ms = {run: at_ms for run, at_ms in told.items() if at_ms is not None}
        if clearing.earmark is not None:
            self._hold(clearing.earmark, gone_ms)
        preempting = {job for job, _ in self._jobs}
        for move in clearing.moves:
            # A job whose run is gone, or was told to go for another reason, goes its own way.
            if move.job in preempting and self._known[move.job].earmark is None:
                self._hold(move, gone_ms)

    def _stop(self, stop: Stop) -> int | None:
        """Tell a run to stop; answer by when it is gone, None where it is gone already."""
        transaction = self._transaction
        run, job = self._live.get(stop.run), self._known.get(stop.job)
        if run is None or job is None or run.job_id != job.id or run.phase == RunPhase.ENDED.value:
            return None
        if run.stop_cause is not None:
            return self._gone_ms(run)
        gone_ms = transaction.now_ms + stop.grace_ms
        if run.id in self._runs:
            return gone_ms
        self._runs[run.id] = (run.id, stop.cause.value, stop.grace_ms, transaction.now_ms, stop.preemptor)
        self._done.stops[stop.cause.value] += 1
        transaction.after_commit(f"site:{run.site_id}")
        if job.state in _RUNS_ON and job.run_id == run.id:
            self._jobs.append((job.id, JobState.PREEMPTING.value))
            # Whom it makes room for is nobody's business but the scheduler's: the event names no other job.
            data = {"state": JobState.PREEMPTING.value, "cause": stop.cause.value, "run": run.id, "epoch": run.epoch}
            transaction.event(
                "job.state", actor=ACTOR, job_id=job.id, group_id=job.group_id, site_id=run.site_id, data=data
            )
            transaction.after_commit(f"job:{job.id}")
        return gone_ms

    def _gone_ms(self, run: RunRow) -> int:
        """By when a run that was told to stop before is gone."""
        told_ms = self._transaction.now_ms if run.stop_requested_ms is None else run.stop_requested_ms
        return told_ms + (run.stop_grace_ms or 0)

    def _hold(self, earmark: Earmark, gone_ms: Mapping[RunId, int]) -> None:
        """Hold nodes until these runs are gone, and those that leave them anyway."""
        waited_for = dict(gone_ms)
        for node, *_ in earmark.gang:
            waited_for.update({RunId(run.id): self._gone_ms(run) for run in self._leaving_on.get(node, ())})
        until_ms = max(waited_for.values(), default=self._transaction.now_ms)
        held = Held.of(earmark, until_ms, sorted(waited_for))
        self._earmarks.append((earmark.job, held.as_json()))
        self._done.earmarks += 1
        data = {"runs_leaving": len(held.runs), "until_ms": held.until_ms}
        self._transaction.event(
            "job.earmarked", actor=ACTOR, job_id=earmark.job, group_id=earmark.group, site_id=earmark.site, data=data
        )
        self._transaction.after_commit(f"job:{earmark.job}")

    def write(self) -> Cleared:
        """Write everything collected, and answer what that was."""
        columns = ("stop_cause", "stop_grace_ms", "stop_requested_ms", "stop_preemptor")
        runs.change_many(self._transaction, columns, list(self._runs.values()))
        jobs.change_many(self._transaction, ("state",), self._jobs)
        jobs.change_many(self._transaction, ("earmark",), self._earmarks)
        return self._done
