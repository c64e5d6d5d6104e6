"""What the server has been told, so that a request carries only what is new. Pure: no clock, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scheduler.model.job_state import RunPhase
from scheduler.model.wire import CapacityReport, NodeReport, RunReport, digest_of_runs

#: Capacity versions of different starts of an agent never meet: each start counts from its own multiple.
VERSIONS_A_START = 1_000_000


@dataclass(frozen=True, slots=True)
class Draft:
    """The contents of one request. ``news`` says that it must be sent at once and its answer not be waited
    for.
    """

    runs: tuple[RunReport, ...]
    capacity: CapacityReport | None
    complete: bool
    news: bool


class ReportBook:
    """Compares what is with what was told. A run that ended is told until its end is acknowledged
    (``release``).
    """

    def __init__(self, incarnation: int) -> None:
        self.complete_due = True
        self._told: dict[int, RunReport] = {}
        self._ended_unacknowledged: dict[int, RunReport] = {}
        self._released: set[int] = set()
        self._nodes: Sequence[NodeReport] | None = None
        self._node_by_name: dict[str, NodeReport] = {}
        self._capacity_version = incarnation * VERSIONS_A_START
        self._capacity_told = -1
        self._digest: str | None = None

    @property
    def capacity_version(self) -> int:
        """The version of the capacity seen last."""
        return self._capacity_version

    @property
    def unacknowledged(self) -> bool:
        """Whether the server has yet to acknowledge an end that it was told."""
        return bool(self._ended_unacknowledged)

    def draft(self, runs: Sequence[RunReport], nodes: Sequence[NodeReport] | None) -> Draft:
        """What to send now. ``nodes`` is None while the engine does not answer: what was told last still
        stands.
        """
        current = [run for run in runs if run.run_id not in self._released]
        if self.complete_due:
            capacity = None if nodes is None else self._complete_capacity(nodes)
            return Draft(tuple(current), capacity, complete=True, news=True)
        changed = [run for run in current if not self._was_told(run)]
        capacity = self._changed_capacity(nodes) if nodes is not None else None
        news = bool(changed) or capacity is not None
        repeated = [run for run in self._ended_unacknowledged.values() if run not in changed]
        return Draft(tuple(changed + repeated), capacity, complete=False, news=news)

    def _was_told(self, run: RunReport) -> bool:
        told = self._told.get(run.run_id)
        return told is run or told == run

    def answered(self, draft: Draft, *, capacity_version: int, complete_wanted: bool) -> None:
        """The server has taken ``draft``."""
        if draft.complete:
            self.complete_due = False
            self._told = {run_id: run for run_id, run in self._told.items() if run_id in self._released}
            self._ended_unacknowledged.clear()
        for run in draft.runs:
            self._told[run.run_id] = run
            if run.phase is RunPhase.ENDED:
                self._ended_unacknowledged[run.run_id] = run
        if draft.runs or draft.complete:
            self._digest = None
        if draft.capacity is not None:
            self._capacity_told = draft.capacity.version
        if complete_wanted or (self._nodes is not None and capacity_version != self._capacity_version):
            self.complete_due = True

    def live_digest(self) -> str:
        """``digest_of_runs`` over the runs that were told and had not ended."""
        if self._digest is None:
            live = [(run.run_id, run.epoch) for run in self._told.values() if run.phase is not RunPhase.ENDED]
            self._digest = digest_of_runs(live)
        return self._digest

    def release(self, run_ids: Iterable[int]) -> None:
        """The server has acknowledged these ends: they are told no more."""
        for run_id in run_ids:
            self._ended_unacknowledged.pop(run_id, None)
            self._released.add(run_id)

    def drop(self, run_id: int) -> None:
        """The run is forgotten here too."""
        self._told.pop(run_id, None)
        self._ended_unacknowledged.pop(run_id, None)
        self._released.discard(run_id)

    def _complete_capacity(self, nodes: Sequence[NodeReport]) -> CapacityReport:
        self._note(nodes)
        return CapacityReport(version=self._capacity_version, complete=True, nodes=tuple(nodes))

    def _changed_capacity(self, nodes: Sequence[NodeReport]) -> CapacityReport | None:
        before, since = self._node_by_name, self._capacity_version
        self._note(nodes)
        if self._capacity_version == self._capacity_told:
            return None
        if self._capacity_told != since:
            # An earlier delta was never answered: a complete list costs more and is always right.
            return CapacityReport(version=self._capacity_version, complete=True, nodes=tuple(nodes))
        now = self._node_by_name
        return CapacityReport(
            version=self._capacity_version,
            complete=False,
            since_version=since,
            nodes=tuple(node for name, node in now.items() if before.get(name) != node),
            removed=tuple(name for name in before if name not in now),
        )

    def _note(self, nodes: Sequence[NodeReport]) -> None:
        if nodes is self._nodes:
            return
        by_name = {node.name: node for node in nodes}
        if self._nodes is None or by_name != self._node_by_name:
            self._capacity_version += 1
        self._nodes, self._node_by_name = nodes, by_name
