"""Conservative backfilling: every waiting job has a reservation, and nobody may push anybody's back.

Mu'alem and Feitelson, "Utilization, predictability, workloads, and user runtime estimates" (2001). Reservations count the
devices of a GPU class over time; nodes are looked at when a reservation falls due, and a job that then finds no nodes is
put in anew. When a run ends early or nodes open, reservations are made anew in the order of submission, at most once
every ``COMPRESS_MS`` while anything runs.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scheduler.model.ids import JobId
from scheduler.simulator.baselines import PlainScheduler, Running
from scheduler.simulator.cluster import Cluster
from scheduler.simulator.history import EndCause
from scheduler.simulator.knowledge import UNKNOWN_MS
from scheduler.simulator.policy import Policy
from scheduler.simulator.queues import Verdicts
from scheduler.simulator.workload import SimJob, Workload

COMPRESS_MS = 300_000
_FAR_MS = 2**61

IntArray = NDArray[np.int64]


class Profile:
    """Devices free over time: ``free[i]`` from ``times[i]`` on."""

    def __init__(self, now_ms: int, devices: int) -> None:
        self._times: IntArray = np.array([now_ms], dtype=np.int64)
        self._free: IntArray = np.array([devices], dtype=np.int64)

    @staticmethod
    def of_runs(now_ms: int, devices: int, runs: Sequence[tuple[int, int]]) -> Profile:
        """What is free when runs, (devices, expected end), end as expected."""
        made = Profile(now_ms, devices)
        if runs:
            held, ends = np.array(runs, dtype=np.int64).T
            times, which = np.unique(np.maximum(ends, now_ms + 1), return_inverse=True)
            back = np.bincount(which, weights=held).astype(np.int64)
            free = devices - int(held.sum())
            made._times = np.concatenate(([now_ms], times))
            made._free = np.concatenate(([free], free + np.cumsum(back)))
        return made

    def earliest(self, now_ms: int, devices: int, duration_ms: int) -> int | None:
        """The first time from which ``devices`` are free for the whole duration; None for never."""
        short = self._free < devices
        # Only now, or the end of a stretch that is too short, can be where a long enough one begins.
        begins = np.concatenate(([now_ms], self._times[1:][short[:-1] & ~short[1:]]))
        begins = begins[begins >= now_ms]
        at = np.searchsorted(self._times, begins, side="right") - 1
        short_at = np.append(self._times[short], _FAR_MS)
        next_short = short_at[np.searchsorted(short_at, begins, side="right")]
        fits = np.flatnonzero(~short[at] & (next_short >= begins + duration_ms))
        return int(begins[fits[0]]) if len(fits) else None

    def forget_before(self, now_ms: int) -> None:
        """Drop what is over."""
        first = int(np.searchsorted(self._times, now_ms, side="right")) - 1
        if first > 0:
            self._times, self._free = self._times[first:], self._free[first:]

    def take(self, begin_ms: int, end_ms: int, devices: int) -> None:
        """Hold devices during [begin, end)."""
        for at_ms in (begin_ms, end_ms):
            index = int(np.searchsorted(self._times, at_ms))
            if index == len(self._times) or self._times[index] != at_ms:
                before = int(self._free[index - 1]) if index else int(self._free[0])
                self._times = np.insert(self._times, index, at_ms)
                self._free = np.insert(self._free, index, before)
        held = (self._times >= begin_ms) & (self._times < end_ms)
        self._free[held] -= devices


class Conservative(PlainScheduler):
    """Everybody has a reservation."""

    def __init__(self, cluster: Cluster, workload: Workload, policy: Policy) -> None:
        super().__init__(cluster, workload, policy)
        self._class_of = [node.gpu_class for node in cluster.nodes]
        self._profiles: dict[str, Profile] = {}
        self._due: list[tuple[int, JobId]] = []
        self._new: list[SimJob] = []
        self._made_ms, self._now_ms = -COMPRESS_MS, 0
        self._stale = True

    def start_now(self, now_ms: int) -> None:
        """Reserve for what is new, and start what is due."""
        self._now_ms = now_ms
        if not self.running or (self._stale and now_ms - self._made_ms >= COMPRESS_MS):
            self._make_anew(now_ms)
        for profile in self._profiles.values():
            profile.forget_before(now_ms)
        for job in self._new:
            self._reserve(job, now_ms)
        self._new.clear()
        for entry in self._due[: bisect_right(self._due, (now_ms, JobId(2**62)))]:
            job = self.workload.jobs[entry[1] - 1]
            found = self.nodes.place(self.workload.shapes[job.shape], job.bound_site)
            if found is None:
                self._stale = True
                continue
            self._due.remove(entry)
            self.start(job, *found, now_ms)

    def wake_ms(self) -> int | None:
        """The next reservation that falls due."""
        at = bisect_right(self._due, (self._now_ms, JobId(2**62)))
        return self._due[at][0] if at < len(self._due) else None

    def wait(self, job: SimJob) -> None:
        """A job begins to wait, and has no reservation yet."""
        super().wait(job)
        self._new.append(job)

    def hide(self, job: SimJob) -> None:
        """A waiting job is not to be started, and its reservation is a hole."""
        super().hide(job)
        self._new = [each for each in self._new if each is not job]
        self._due = [entry for entry in self._due if entry[1] != job.id]
        self._stale = True

    def end(self, running: Running, at_ms: int, cause: EndCause, cost_ms: int) -> None:
        """A run is over; earlier than expected, it leaves a hole."""
        self._stale |= at_ms < running.expected_end_ms
        super().end(running, at_ms, cause, cost_ms)

    def see_devices(self, now_ms: int, devices: int) -> None:
        """So many devices are lent from now on."""
        self._stale = True
        super().see_devices(now_ms, devices)

    def _make_anew(self, now_ms: int) -> None:
        self._made_ms, self._stale = now_ms, False
        devices: dict[str, int] = {}
        for node in self.cluster.nodes:
            devices[node.gpu_class] = devices.get(node.gpu_class, 0) + node.gpus
        runs: dict[str, list[tuple[int, int]]] = {name: [] for name in devices}
        for run in self.running.values():
            runs[self._class_of[run.place[0][0]]].append((run.job.gpus, run.expected_end_ms))
        self._profiles = {name: Profile.of_runs(now_ms, count, runs[name]) for name, count in devices.items() if count}
        self._due.clear()
        self._new.clear()
        for job in self.queues.walk(Verdicts()):
            self._reserve(job, now_ms)

    def _reserve(self, job: SimJob, now_ms: int) -> None:
        duration_ms = max(UNKNOWN_MS if job.expected_ms is None else job.expected_ms, 1)
        candidates = self.workload.shapes[job.shape].gpu_classes or self.cluster.gpu_classes
        found = [
            (begin, number, name)
            for number, name in enumerate(candidates)
            if name in self._profiles
            and (begin := self._profiles[name].earliest(now_ms, job.gpus, duration_ms)) is not None
        ]
        if not found:
            return
        begin, _, name = min(found)
        self._profiles[name].take(begin, begin + duration_ms, job.gpus)
        insort(self._due, (begin, job.id))
