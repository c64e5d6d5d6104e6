"""At most one, conservation, and a follower that misses nothing: random walks of two sites that lose answers, fall silent
and come back, against what is truly alive at the sites."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import pytest
from clearings import make_way
from example_count import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from runtime import Stage, make_runtime
from site_model import SiteModel
from used_gpus import own_gpus

from scheduler.clock import ManualClock
from scheduler.cycle.snapshot import Snapshot
from scheduler.service.follow import Follower

pytestmark = pytest.mark.slow

SITES = ("site-1", "site-2")
GPUS = 2

_site = st.integers(0, len(SITES) - 1)
#: (what happens, at which site, a number that it may need)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("sync"), _site, st.just(0)),
        st.tuples(st.just("answer is lost"), _site, st.just(0)),
        st.tuples(st.just("finish"), _site, st.integers(0, 9)),
        st.tuples(st.just("restart"), _site, st.just(0)),
        st.tuples(st.just("wait"), _site, st.sampled_from((1, 3, 20, 50, 80))),
        st.tuples(st.just("clock jumps"), _site, st.sampled_from((-3600, -40, 40, 120, 3600))),
        st.tuples(st.just("turn"), _site, st.just(0)),
        st.tuples(st.just("requeue"), _site, st.integers(0, 9)),
        st.tuples(st.just("make way"), _site, st.integers(0, 9)),
        st.tuples(st.just("server restarts"), _site, st.just(0)),
    ),
    min_size=10,
    max_size=60,
)


class Walk:
    """Two small sites that many jobs want, and what happens to them."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.sites = [SiteModel(stage, stage.agent(name, gpus=GPUS)) for name in SITES]
        self.jobs = stage.submit(stage.group(), 6)

    def step(self, what: str, site_number: int, number: int) -> None:
        """One thing happens."""
        site = self.sites[site_number]
        match what:
            case "sync":
                site.sync()
            case "answer is lost":
                site.sync(answer_lost=True)
            case "finish":
                site.finish(number)
            case "restart":
                site.restart_agent()
            case "wait":
                self.stage.clock.advance(number)
            case "clock jumps":
                self.stage.clock.jump(number)
            case "turn":
                self.stage.turn()
            case "requeue":
                self._requeue(site, number)
            case "make way":
                self._make_way(site, number)
            case "server restarts":
                self.stage.restart_server()

    def _requeue(self, site: SiteModel, number: int) -> None:
        """An owner sends a job back while its run is alive."""
        alive = site.alive()
        if alive:
            run = alive[number % len(alive)]
            if self.stage.job(run.job_id).run_id == run.run_id:
                self.stage.change_run(run.run_id, stop_cause="requeued", stop_grace_ms=0, stop_requested_ms=1)

    def _make_way(self, site: SiteModel, number: int) -> None:
        """A run is stopped for a job that waits, and its place is held for that job."""
        alive = site.alive()
        waiting = [job for job in self.jobs if self.stage.job(job).state == "queued"]
        if alive and waiting:
            run = alive[number % len(alive)]
            if self.stage.job(run.job_id).run_id == run.run_id and self.stage.run(run.job_id).stop_cause is None:
                make_way(self.stage, run.job_id, waiting[number % len(waiting)])

    def settle(self) -> None:
        """Everybody is heard, and every run ends well, until no job is left."""
        for _ in range(40):
            for site in self.sites:
                site.sync()
                for _ in range(len(site.alive())):
                    site.finish(0)
                site.sync()
            self.stage.turn()
            self.stage.clock.advance(3)
            if self._is_settled():
                return

    def _is_settled(self) -> bool:
        """Whether every job has its end, and the server has been told of every run's."""
        told = all(run.forgotten for site in self.sites for run in site.runs.values())
        return told and all(self.stage.job(job).state == "succeeded" for job in self.jobs)

    def alive(self) -> Counter[int]:
        """How many runs of each job are truly alive."""
        return Counter(run.job_id for site in self.sites for run in site.alive())


@settings(max_examples=examples(15))
@given(STEPS)
def test_at_most_one_run_of_a_job_is_alive_and_the_ledger_holds_what_was_truly_used(
    steps: list[tuple[str, int, int]],
) -> None:
    with tempfile.TemporaryDirectory() as folder, make_runtime(Path(folder), clock := ManualClock()) as runtime:
        walk = Walk(Stage(runtime, clock))
        for step in steps:
            walk.step(*step)
            assert max(walk.alive().values(), default=0) <= 1, (step, walk.alive())
            assert all(len(site.alive()) <= GPUS for site in walk.sites), step
        walk.settle()
        assert {walk.stage.job(job).state for job in walk.jobs} == {"succeeded"}
        truly = {run.run_id: run for site in walk.sites for run in site.runs.values()}
        for job in walk.jobs:
            for run in walk.stage.runs(job):
                used_ms = 0 if run.id not in truly else (truly[run.id].ended_ms or 0) - truly[run.id].started_ms
                assert sum(walk.stage.charged(run.id)) == used_ms, run


@settings(max_examples=examples(10))
@given(STEPS)
def test_following_step_by_step_sees_what_reading_everything_sees(steps: list[tuple[str, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder, make_runtime(Path(folder), clock := ManualClock()) as runtime:
        walk = Walk(Stage(runtime, clock))
        # Whoever begins to follow guesses by the wall clock when a site was heard: that is no matter of following.
        for step in (each for each in steps if each[0] != "clock jumps"):
            walk.step(*step)
            walk.stage.follower.catch_up()
            anew = Follower(runtime.database, clock, runtime.policy)
            anew.catch_up()
            followed = _comparable(walk.stage.follower.federation.snapshot())
            assert followed == _comparable(anew.federation.snapshot()), step


def _comparable(snapshot: Snapshot) -> dict[str, object]:
    """What a round decides on, without the order in which it became known. Counts of nothing are nothing."""
    return {
        "sites": snapshot.sites,
        "nodes": snapshot.nodes,
        "groups": snapshot.groups,
        "runs": dict(sorted(snapshot.runs.items())),
        "earmarks": dict(sorted(snapshot.earmarks.items())),
        "waiting": {(each.key, each.turns) for each in snapshot.waiting},
        "use": {name: own_gpus(snapshot, name) for name in snapshot.gpu_classes},
        "site_use": {key: gpus for key, gpus in snapshot.site_use.items() if gpus},
        "free": {key: pool.pool.free_gpus for key, pool in snapshot.pools.items()},
    }
