"""The scheduling loop: follow the store, decide, check, commit under the fence. One leads, others stand by."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from functools import partial

import structlog
from prometheus_client import Counter, Gauge, Histogram

from scheduler.cycle.check_plan import check_plan
from scheduler.cycle.decide import decide
from scheduler.cycle.lender_rates import lender_rates
from scheduler.cycle.plan import Plan
from scheduler.cycle.snapshot import Snapshot
from scheduler.cycle.warm_up import warm_up
from scheduler.model.errors import InvariantBroken, LeadershipLost, StoreUnavailable
from scheduler.service.certificate_keeper import CertificateKeeper
from scheduler.service.deadlines import cancel_late, late
from scheduler.service.dependencies import WAITERS_A_TRANSACTION, settle
from scheduler.service.earmark_commit import clearings_of, commit_clearings, withdraw_earmarks
from scheduler.service.follow import Follower
from scheduler.service.place_keeper import PlaceKeeper
from scheduler.service.reconcile import forget_old, reconcile_site, revive_site
from scheduler.service.round_commit import STARTS_A_TRANSACTION, commit_starts
from scheduler.service.runtime import Runtime
from scheduler.service.standing_keeper import StandingKeeper
from scheduler.store import leadership
from scheduler.store.fence import Fence

LEADERSHIP = "scheduler"
PAUSE_SECONDS = 0.5
FORGET_SECONDS = 3600.0
#: A certificate that is being made is given so long when the loop ends.
END_SECONDS = 2.0

ROUND_SECONDS = Histogram(
    "dure_round_seconds",
    "Time of one round: follow, decide, check, commit.",
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10),
)
STARTS = Counter("dure_round_starts_total", "Runs leased by rounds.")
STOPS = Counter("dure_round_stops_total", "Runs told to stop by rounds.", ["cause"])
EARMARKS = Counter("dure_round_earmarks_total", "Jobs for which rounds had nodes held.")
LEADS = Gauge("dure_scheduler_leads", "1 while this process leads the scheduling.")


class SchedulerLoop:
    """One scheduler. ``run`` returns after ``stop``; from any thread."""

    def __init__(self, runtime: Runtime, holder: str | None = None) -> None:
        self._runtime = runtime
        self._holder = holder or f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._stopping = threading.Event()
        self._log = structlog.get_logger("dure.scheduler")
        self._forgot_seconds = float("-inf")
        self._renewed_seconds = runtime.clock.monotonic_seconds()
        self._silent: set[int] = set()
        self._certificates = CertificateKeeper(runtime)
        self._standings = StandingKeeper(runtime)
        self._places = PlaceKeeper(runtime)

    def stop(self) -> None:
        """Have ``run`` return soon."""
        self._stopping.set()
        self._runtime.bus.publish("scheduler")

    def run(self) -> None:
        """Lead whenever nobody else does, until ``stop``."""
        warm_up()
        while not self._stopping.is_set():
            try:
                fence = self._acquire()
                if fence is None:
                    self._stopping.wait(min(1.0, self._runtime.settings.leadership_seconds / 3))
                    continue
                self._log.info("leading", holder=self._holder, fence=fence.number)
                LEADS.set(1)
                self._lead(fence)
            except LeadershipLost as lost:
                self._log.warning("another scheduler leads", detail=str(lost))
            except StoreUnavailable as away:
                self._log.warning("the store is away", detail=str(away))
                self._stopping.wait(PAUSE_SECONDS)
            except Exception:
                # Nothing of that round is committed. What it held in memory is dropped, and the store read anew.
                self._log.exception("a round failed")
                self._stopping.wait(PAUSE_SECONDS)
            finally:
                LEADS.set(0)
        self._certificates.wait(END_SECONDS)

    def _duration_ms(self) -> int:
        return round(self._runtime.settings.leadership_seconds * 1000)

    def _acquire(self) -> Fence | None:
        return leadership.acquire(
            self._runtime.database,
            name=LEADERSHIP,
            holder=self._holder,
            duration_ms=self._duration_ms(),
            now_ms=self._runtime.clock.now_ms(),
        )

    def _lead(self, fence: Fence) -> None:
        runtime = self._runtime
        follower = Follower(runtime.database, runtime.clock, runtime.policy, runtime.settings.preemption)
        follower.catch_up()
        # Who led before may have gone while sites were silent: each is looked at once.
        self._silent = set(follower.sites)
        self._renewed_seconds = runtime.clock.monotonic_seconds()
        with runtime.bus.subscribe("scheduler") as news:
            while not self._stopping.is_set():
                self._renew_when_due(fence)
                done = self.turn(follower, fence)
                self._certificates.refresh_when_due(follower.federation.snapshot, fence)
                self._standings.look_when_due(follower.federation.snapshot, fence)
                if not done:
                    news.wait(runtime.settings.round_interval_seconds)
        leadership.release(runtime.database, fence)

    def _renew_when_due(self, fence: Fence) -> None:
        now_seconds = self._runtime.clock.monotonic_seconds()
        if now_seconds - self._renewed_seconds < self._runtime.settings.leadership_seconds / 3:
            return
        self._renewed_seconds = now_seconds
        now_ms = self._runtime.clock.now_ms()
        if not leadership.renew(self._runtime.database, fence, duration_ms=self._duration_ms(), now_ms=now_ms):
            raise LeadershipLost(f"{self._holder} leads no more")

    def turn(self, follower: Follower, fence: Fence) -> int:
        """One turn: what time changed, one round, its commit. Answer how many things that did: runs leased or told to stop,
        jobs for which nodes are held from now on, or no more."""
        with ROUND_SECONDS.time():
            self._places.recall(follower)
            follower.catch_up()
            if self._reconcile(follower, fence):
                follower.catch_up()
            self._settle_deadlines(follower, fence)
            self._settle_dependencies(follower, fence)
            snapshot = follower.federation.snapshot()
            plan = decide(snapshot, fence.number)
            violations = check_plan(snapshot, plan)
            if violations:
                raise InvariantBroken(f"a plan breaks {len(violations)} laws, first {violations[0]}")
            self._places.keep(snapshot, fence)
            return self._commit(snapshot, plan, fence, follower.rules_change)

    def _reconcile(self, follower: Follower, fence: Fence) -> bool:
        """Look at silent sites and at those that came back. Whether anything changed."""
        runtime, changed = self._runtime, 0
        busy = {run.site for run in follower.federation.live_runs.values()}
        for site in list(follower.sites.values()):
            if site.id not in busy:
                continue
            site_id, heard = site.id, follower.hearing.is_heard(site)
            if not heard and site.credential_hash is not None:
                silence = follower.hearing.silence(site)
                done = runtime.database.run(partial(reconcile_site, seen=site, silence=silence), fence)
                changed += done.unreachable + done.freed
                self._silent.add(site_id)
            elif site_id in self._silent and heard:
                changed += runtime.database.run(partial(revive_site, site_id=site_id), fence)
                self._silent.discard(site_id)
        now_seconds = runtime.clock.monotonic_seconds()
        if now_seconds - self._forgot_seconds >= FORGET_SECONDS:
            self._forgot_seconds = now_seconds
            seconds = runtime.settings.idempotency_seconds
            runtime.database.run(lambda each: forget_old(each, seconds), fence)
        return bool(changed)

    def _settle_deadlines(self, follower: Follower, fence: Fence) -> None:
        """Cancel what waits and cannot be over by its deadline any more."""
        database, clock = self._runtime.database, self._runtime.clock
        while True:
            with database.read() as connection:
                too_late = late(connection, clock.now_ms())
            if not too_late or not database.run(partial(cancel_late, job_ids=too_late), fence):
                return
            self._renew_when_due(fence)
            follower.catch_up()

    def _settle_dependencies(self, follower: Follower, fence: Fence) -> None:
        """Let go what waited for other jobs, or cancel what waits for nothing; what waits for those comes next."""
        while due := follower.waiters.due(WAITERS_A_TRANSACTION):
            for waiter in self._runtime.database.run(partial(settle, waiter_ids=due), fence):
                follower.waiters.drop(waiter)
            self._renew_when_due(fence)
            follower.catch_up()

    def _commit(self, snapshot: Snapshot, plan: Plan, fence: Fence, rules_change: int) -> int:
        """What is given up first, so that no node is held twice; then what is held anew, and what starts."""
        done = self._commit_earmarks(plan, fence, rules_change)
        started = 0
        for starts, redeemed in ((plan.redeemed, True), (plan.starts, False)):
            for first in range(0, len(starts), STARTS_A_TRANSACTION):
                commit = partial(
                    commit_starts,
                    starts=starts[first : first + STARTS_A_TRANSACTION],
                    shapes=snapshot.shapes,
                    rules_change=rules_change,
                    redeemed=redeemed,
                    rates_of=partial(lender_rates, snapshot),
                )
                started += self._runtime.database.run(commit, fence)
                self._renew_when_due(fence)
        STARTS.inc(started)
        return done + started

    def _commit_earmarks(self, plan: Plan, fence: Fence, rules_change: int) -> int:
        database, done = self._runtime.database, 0
        if plan.withdrawn:
            done += database.run(partial(withdraw_earmarks, job_ids=plan.withdrawn), fence)
        for part in clearings_of(plan):
            cleared = database.run(partial(commit_clearings, clearings=part, rules_change=rules_change), fence)
            EARMARKS.inc(cleared.earmarks)
            for cause, stops in cleared.stops.items():
                STOPS.labels(cause).inc(stops)
            done += cleared.count
            self._renew_when_due(fence)
        return done
