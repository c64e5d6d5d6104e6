"""The agent's loop: observe, tell, be told, do.

Two requests may be under way at once, both the same idempotent sync. One, in a thread of its own, carries
nothing new and waits for news, so that a lease reaches the site at once; it is only sent when everything has
been told. The other is sent the moment something changed here and does not wait. So neither direction ever
waits for the other, and no request that carries something is ever cut short. A site that nobody answered for a
while sends the second kind anyway: the first may wait on a connection that is no more, and leases do not.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence

import structlog

from connectors.agent.content import ContentCache
from connectors.agent.delivery import Delivery
from connectors.agent.enrolment import enrol
from connectors.agent.fences import Fences
from connectors.agent.listening import Listening
from connectors.agent.orders import Orders
from connectors.agent.pace import Pace
from connectors.agent.report_book import Draft, ReportBook
from connectors.agent.settings import AgentSettings
from connectors.agent.state import StateDirectory
from connectors.agent.transport import Transport
from connectors.clock import Clock
from connectors.errors import EngineUnavailable, ServerRefused, ServerUnavailable
from connectors.protocol import Connector, Lease
from scheduler.model.job_state import RunPhase
from scheduler.model.wire import PROTOCOL_VERSION, NodeReport, RunOrder, RunReport, SyncRequest, SyncResponse

#: A server that answers a waiting request at once without anything to do is not asked again sooner.
PACE_SECONDS = 0.1
SEQUENCES_A_START = 1 << 32


class Agent:
    """One site's agent. ``run`` returns after ``stop``; runs go on without it until their leases end.

    ``state`` is the folder of ``settings.state_directory``, opened here where it was not before. Whoever makes an
    engine over files in that folder opens it first: its lock is what keeps two agents from starting the same runs.
    """

    def __init__(
        self,
        settings: AgentSettings,
        connector: Connector,
        transport: Transport,
        clock: Clock,
        *,
        state: StateDirectory | None = None,
    ) -> None:
        self._settings = settings
        self._connector = connector
        self._transport = transport
        self._clock = clock
        self._dice = random.Random(settings.seed)  # noqa: S311 - spreads retries
        self._log = structlog.get_logger("connectors.agent")
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._state = state if state is not None else StateDirectory(settings.state_directory)
        self._fences = Fences(self._state.path / "fences.log")
        self._content = ContentCache(
            self._state.path / "content", transport, bytes_max=settings.content_bytes_max, wake=self._wake.set
        )
        self._book = ReportBook(self._state.incarnation)
        self._sequence = self._state.incarnation * SEQUENCES_A_START
        self._applied = 0
        self._applied_change = 0
        self._lease = Lease(deadline_boottime_ns=0, lease_seconds=0.0, renewal=0)
        self._renewed_ns = 0
        self._answered_ns = clock.boottime_ns()
        self._failures = 0
        self._paced_until_ns = 0
        self._ask_now = False
        self._told_ns = 0
        self._pace = Pace(settings, 0.0)
        self._released: set[int] = set()
        self._listening: Listening | None = None

    def run(self) -> None:
        """Enrol, then serve until ``stop``. Raises SettingsUnusable and ServerRefused from enrolment only."""
        try:
            if not self._enrol():
                return
            self._delivery = Delivery(
                self._connector, self._transport, self._clock, self._settings, on_delivered=self._wake.set
            )
            self._connector.on_change(self._wake.set)
            try:
                while not self._stopping.is_set():
                    self._turn()
            finally:
                self._delivery.close()
        finally:
            self._close()

    def stop(self) -> None:
        """Have ``run`` return soon; from any thread or a signal's handler."""
        self._stopping.set()
        self._wake.set()

    def _close(self) -> None:
        self._stopping.set()
        self._content.close()
        self._fences.close()
        self._state.close()
        self._transport.close()

    def _enrol(self) -> bool:
        while not self._stopping.is_set():
            try:
                enrolled = enrol(self._settings, self._state, self._transport)
            except ServerUnavailable as fault:
                self._back_off(fault)
                continue
            contract = enrolled.contract
            self._pace = Pace(self._settings, contract.lease_seconds)
            self._orders = Orders(
                connector=self._connector,
                fences=self._fences,
                content=self._content,
                contract=contract,
                policy=self._settings.policy,
                clock=self._clock,
            )
            self._failures = 0
            self._log.info("site enrolled", site=enrolled.site, policy=contract.policy_version)
            return True
        return False

    def _turn(self) -> None:
        """One turn of the loop: take what the listener heard, tell what changed, listen, sleep until
        something is.
        """
        self._wake.clear()
        try:
            self._take_news()
            runs = self._observe()
            draft = self._book.draft(runs, self._capacity())
            now_ns = self._clock.boottime_ns()
            repeat_due = self._book.unacknowledged and now_ns - self._told_ns > self._settings.repeat_seconds * 1e9
            silent = now_ns - self._answered_ns > self._pace.silence_seconds * 1e9
            if draft.news or repeat_due or self._ask_now or silent:
                self._tell(draft)
                return
            if self._listening is None and now_ns >= self._paced_until_ns:
                self._listen()
        except (ServerUnavailable, ServerRefused) as fault:
            self._back_off(fault)
            return
        self._wake.wait(self._sleep_seconds())

    def _sleep_seconds(self) -> float:
        if self._listening is None:
            return PACE_SECONDS
        return self._settings.repeat_seconds

    def _observe(self) -> list[RunReport]:
        """All runs; on the way, ended ones go to delivery, and delivered ones that the server knows are
        forgotten.
        """
        runs = [*self._connector.observe(), *self._orders.refused.values()]
        forgotten = set()
        for run in runs:
            if run.phase is not RunPhase.ENDED:
                continue
            fence = self._fences.of_run(run.run_id)
            if run.run_id not in self._orders.refused:
                self._delivery.finish(run.run_id, run.epoch, fence.workers if fence is not None else 0)
            if run.run_id in self._released and self._may_forget(run.run_id):
                forgotten.add(run.run_id)
        if forgotten:
            self._fences.mark_ended(forgotten - self._orders.refused.keys())
            for run_id in forgotten:
                self._forget(run_id)
        return [run for run in runs if run.run_id not in forgotten]

    def _may_forget(self, run_id: int) -> bool:
        return run_id in self._orders.refused or self._delivery.is_delivered(run_id)

    def _forget(self, run_id: int) -> None:
        if self._orders.refused.pop(run_id, None) is None:
            self._connector.forget(run_id)
        self._delivery.drop(run_id)
        self._book.drop(run_id)
        self._released.discard(run_id)

    def _capacity(self) -> Sequence[NodeReport] | None:
        try:
            return self._connector.capacity()
        except EngineUnavailable as fault:
            self._log.warning("the engine does not answer", fault=str(fault))
            return None

    def _request(self, draft: Draft | None, wait_seconds: float) -> SyncRequest:
        self._sequence += 1
        return SyncRequest(
            protocol=PROTOCOL_VERSION,
            agent=self._settings.name,
            sequence=self._sequence,
            complete=draft.complete if draft is not None else False,
            capacity=draft.capacity if draft is not None else None,
            capacity_version=self._book.capacity_version,
            runs=draft.runs if draft is not None else (),
            # Only a request that carries nothing is compared: while reports are under way the sides differ.
            live_digest=self._book.live_digest() if draft is None else "",
            wait_seconds_max=wait_seconds,
        )

    def _tell(self, draft: Draft) -> None:
        self._ask_now = False
        request = self._request(draft, 0.0)
        sent_ns = self._told_ns = self._clock.boottime_ns()
        # A server has more to do with a complete report.
        patience = 2 if draft.complete else 1
        response = self._transport.sync(request, timeout_seconds=patience * self._pace.timeout_seconds)
        # An answer that wants a complete report again and again must not turn this into a busy loop.
        complete_wanted = response.complete_wanted and not draft.complete
        self._book.answered(draft, capacity_version=response.capacity_version, complete_wanted=complete_wanted)
        self._apply(response, request.sequence, sent_ns)

    def _listen(self) -> None:
        wait_seconds = self._pace.wait_seconds
        request = self._request(None, wait_seconds)
        sent_ns = self._clock.boottime_ns()
        timeout_seconds = wait_seconds + self._pace.timeout_seconds
        self._listening = Listening(self._transport, request, sent_ns, self._wake.set, timeout_seconds=timeout_seconds)

    def _take_news(self) -> None:
        sent = self._listening
        if sent is None or not sent.done:
            return
        self._listening = None
        response = sent.result()
        if response.complete_wanted:
            self._book.complete_due = True
        if not self._apply(response, sent.sequence, sent.sent_ns) and not response.complete_wanted:
            self._paced_until_ns = self._clock.boottime_ns() + int(PACE_SECONDS * 1e9)

    def _apply(self, response: SyncResponse, sequence: int, sent_ns: int) -> bool:
        """Do what an answer says; whether there was anything to do.

        An answer that knows less than the last one applied may order what has been taken back since: its orders
        are left alone, and the server is told everything at once, so that it orders again what still holds.
        """
        self._failures = 0
        self._answered_ns = self._clock.boottime_ns()
        self._pace = Pace(self._settings, response.lease_seconds)
        if response.contract is not None:
            self._state.keep_contract(response.contract)
            self._orders.hold_to(response.contract)
        self._delivery.want(response.logs)
        new = {run_id for run_id in response.forget if run_id not in self._released}
        self._book.release(response.forget)
        self._released |= new
        # Before the orders: a start takes its time, and a stop's grace must not find a lease that is over.
        self._renew(response.lease_seconds, sequence, sent_ns)
        ordered = bool(response.start or response.stop)
        if not self._is_newest(response.change, sequence):
            self._ask_now |= ordered
            self._book.complete_due |= ordered
            return bool(new) or ordered
        if not ordered:
            return bool(new)
        known = {run.run_id: run for run in self._connector.observe()}
        done = len(new) + self._orders.stop(response.stop, known)
        return done + self._start(response.start, known) > 0

    def _is_newest(self, change: int, sequence: int) -> bool:
        """Whether no answer that was applied knew more than this one; notes that this one is applied.

        A request that waits is often answered after later ones, from a newer record: its change number tells. A later
        request is believed whatever its number, since a record that was restored counts anew.
        """
        if sequence < self._applied and (change == 0 or change < self._applied_change):
            return False
        self._applied, self._applied_change = max(self._applied, sequence), change
        return True

    def _renew(self, lease_seconds: float, sequence: int, sent_ns: int) -> None:
        if sequence < self._lease.renewal:
            return
        self._lease = Lease(
            deadline_boottime_ns=sent_ns + int(lease_seconds * 1e9), lease_seconds=lease_seconds, renewal=sequence
        )
        if sent_ns - self._renewed_ns >= self._pace.work_seconds * 1e9:
            self._renewed_ns = sent_ns
            self._connector.renew(self._lease)

    def _start(self, orders: Sequence[RunOrder], known: dict[int, RunReport]) -> int:
        """Start what can be started before the next renewal is due; the server is asked for the rest again."""
        until_ns = self._clock.boottime_ns() + int(self._pace.work_seconds * 1e9)
        started, left = self._orders.start(orders, known, self._lease, until_ns)
        if left:
            self._ask_now = self._book.complete_due = True
        return started + left

    def _back_off(self, fault: Exception) -> None:
        """Wait before the next try, longer each time, by dice so that agents do not come back all at once."""
        self._failures += 1
        seconds = self._pace.retry_seconds(self._failures) * self._dice.uniform(0.5, 1.0)
        self._log.warning("the server was not reached", fault=str(fault), retry_seconds=round(seconds, 3))
        self._stopping.wait(seconds)
