"""A history as functions of time: devices allocated, what each group holds and asks for, which nodes are partly used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from scheduler.simulator.simulation import Outcome
from scheduler.simulator.stranding import Stranding, stranding_of

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Moments at which curves are looked at.
SAMPLES = 400


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """A step function: ``values[i]`` from ``times_ms[i]`` to the next; 0 before the first."""

    times_ms: IntArray
    values: IntArray

    @staticmethod
    def of_changes(times_ms: IntArray, changes: IntArray) -> Steps:
        """Add up changes at times in any order."""
        order = np.argsort(times_ms, kind="stable")
        times, first = np.unique(times_ms[order], return_index=True)
        sums = np.add.reduceat(changes[order], first) if len(first) else changes[:0]
        return Steps(times, np.cumsum(sums))

    @staticmethod
    def of_spans(spans: Sequence[tuple[int, int, int]]) -> Steps:
        """Add up amounts that hold during [begin, end), given as (begin, end, amount)."""
        begins, ends, amounts = np.array(spans, dtype=np.int64).reshape(-1, 3).T
        return Steps.of_changes(np.concatenate((begins, ends)), np.concatenate((amounts, -amounts)))

    def at(self, times_ms: IntArray) -> IntArray:
        """The values at some times."""
        index = np.searchsorted(self.times_ms, times_ms, side="right") - 1
        if not len(self.values):
            return np.zeros(len(times_ms), dtype=np.int64)
        return np.where(index < 0, 0, self.values[np.maximum(index, 0)])

    def integral(self, begin_ms: int, end_ms: int) -> float:
        """Its integral over [begin, end), in units times ms."""
        inside = self.times_ms[(self.times_ms > begin_ms) & (self.times_ms < end_ms)]
        edges = np.concatenate(([begin_ms], inside, [end_ms]))
        return float((self.at(edges[:-1]) * np.diff(edges)).sum())


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Curves at ``times_ms`` (samples): (group, sample) arrays by group id - 1, and totals as exact steps."""

    times_ms: IntArray
    allocated: Steps
    capacity: Steps
    held: IntArray  #: devices of each group's own runs
    asked: IntArray  #: devices of each group's own jobs that are submitted and not done
    partly_used: IntArray  #: nodes of which some devices are held and some are not
    stranded: Stranding  #: free devices that no gang can use where they lie
    begin_ms: int  #: first submission
    last_ms: int  #: last submission
    end_ms: int  #: last end


def timeline(outcome: Outcome) -> Timeline:
    """Work the curves out from the segments."""
    history = outcome.history
    segments, jobs = history.segments, history.jobs
    starts = np.array([each.start_ms for each in segments], dtype=np.int64)
    ends = np.array([each.end_ms for each in segments], dtype=np.int64)
    gpus = np.array([each.gpus for each in segments], dtype=np.int64)
    groups = np.array([each.job.group - 1 for each in segments], dtype=np.int64)
    submits = np.array([job.submit_ms for job in jobs], dtype=np.int64)
    begin_ms, last_ms = (int(submits.min()), int(submits.max())) if len(submits) else (0, 0)
    end_ms = max(int(ends.max(initial=last_ms)), begin_ms + 1)
    times = np.linspace(begin_ms, end_ms, SAMPLES, endpoint=False).astype(np.int64)
    done = np.array([history.gone_ms(index, end_ms) for index in range(len(jobs))], dtype=np.int64)
    job_gpus = np.array([job.gpus for job in jobs], dtype=np.int64)
    job_groups = np.array([job.group - 1 for job in jobs], dtype=np.int64)
    count = len(outcome.workload.groups)
    partly_used, stranding = _by_node(outcome, times, starts, ends)
    capacity_at, capacity = np.array(history.capacity, dtype=np.int64).T
    gained = capacity - np.concatenate(([0], capacity[:-1]))
    return Timeline(
        times_ms=times,
        allocated=Steps.of_changes(np.concatenate((starts, ends)), np.concatenate((gpus, -gpus))),
        capacity=Steps.of_changes(capacity_at, gained),
        held=_by_row(times, groups, starts, ends, gpus, count),
        asked=_by_row(times, job_groups, submits, done, job_gpus, count),
        partly_used=partly_used,
        stranded=stranding,
        begin_ms=begin_ms,
        last_ms=last_ms,
        end_ms=end_ms,
    )


def _by_row(
    times: IntArray, rows: IntArray, begins: IntArray, ends: IntArray, amounts: IntArray, count: int
) -> IntArray:
    """Sum ``amounts`` that hold during [begin, end) by row and sample."""
    changes = np.zeros((count, len(times) + 1), dtype=np.int64)
    np.add.at(changes, (rows, np.searchsorted(times, begins)), amounts)
    np.add.at(changes, (rows, np.searchsorted(times, ends)), -amounts)
    held: IntArray = np.cumsum(changes, axis=1)[:, :-1]
    return held


def _by_node(outcome: Outcome, times: IntArray, starts: IntArray, ends: IntArray) -> tuple[IntArray, Stranding]:
    nodes = outcome.cluster.nodes
    gangs = [each.gang for each in outcome.history.segments]
    lengths = np.array([len(gang) for gang in gangs], dtype=np.int64)
    flat = np.fromiter(chain.from_iterable(chain.from_iterable(gangs)), dtype=np.int64, count=2 * int(lengths.sum()))
    used = _by_row(times, flat[0::2], np.repeat(starts, lengths), np.repeat(ends, lengths), flat[1::2], len(nodes))
    sizes = np.array([node.gpus for node in nodes], dtype=np.int64)[:, None]
    partly: IntArray = ((used > 0) & (used < sizes)).sum(axis=0)
    return partly, stranding_of(nodes, sizes - used)
