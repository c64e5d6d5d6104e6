"""The contract's cases about words that come too late: orders of an older epoch, and renewals older than another."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from eventually import eventually
from run_orders import contract, stop_order

from connectors.agent.content import ContentCache
from connectors.agent.fences import Fences
from connectors.agent.orders import Orders
from connectors.clock import SystemClock
from scheduler.model.data_class import DEFAULT_POLICY
from scheduler.model.job_state import EndCause, RunPhase
from scheduler.model.wire import RunOrder, StopOrder
from tests.connectors.harness import Behaviour, Harness, assert_no_process_is_left, order_for, report_of, wait_for

NEVER_NS = 1 << 62


def an_order_of_an_older_epoch_starts_nothing_and_stops_nothing(harness: Harness) -> None:
    older, newer = (harness.behave(order_for(harness, epoch, job_id=7, epoch=epoch), Behaviour.RUN) for epoch in (1, 2))
    with tempfile.TemporaryDirectory() as folder:
        with site_of(harness, Path(folder)) as site:
            assert site.start(older) == 1
            wait_for(harness, 1, RunPhase.RUNNING)
            assert site.start(newer) == 0
            assert wait_for(harness, 1, RunPhase.ENDED).cause is EndCause.LEASE_EXPIRED
            assert_no_process_is_left(harness, 1)
            assert site.start(newer) == 1
            running = wait_for(harness, 2, RunPhase.RUNNING)
            processes = harness.processes(2)
            site.forget(1)
            assert site.start(older) == 0
            assert site.orders.refused[1].cause is EndCause.REFUSED
            assert site.stop(stop_order(1, epoch=1), stop_order(2, epoch=1, grace_seconds=0.0)) == 0
        harness.restart()
        with site_of(harness, Path(folder)) as site:
            assert site.start(older) == 0
            assert site.stop(stop_order(2, epoch=1, grace_seconds=0.0)) == 0
            assert wait_for(harness, 2, RunPhase.RUNNING).started_ms == running.started_ms
            assert report_of(harness, 1) is None
            assert (harness.processes(1), harness.processes(2)) == (0, processes)
            assert site.stop(stop_order(2, epoch=2)) == 1
            assert wait_for(harness, 2, RunPhase.ENDED).cause is EndCause.CANCELLED


def a_renewal_that_comes_after_a_newer_one_changes_nothing(harness: Harness) -> None:
    order = harness.behave(order_for(harness, grace_seconds=0.5), Behaviour.RUN)
    harness.connector.start(order, harness.new_lease(harness.FIRST_LEASE_SECONDS), None)
    wait_for(harness, 1, RunPhase.RUNNING)
    late_and_short, newer = harness.new_lease(0.5), harness.new_lease(60.0)
    harness.connector.renew(newer)
    harness.connector.renew(late_and_short)
    harness.restart_after_death(2.5)
    assert wait_for(harness, 1, RunPhase.RUNNING).ended_ms is None
    late_and_long, newer = harness.new_lease(60.0), harness.new_lease(2.0)
    harness.connector.renew(newer)
    harness.connector.renew(late_and_long)
    harness.restart_after_death(4.0)
    assert wait_for(harness, 1, RunPhase.ENDED).cause is EndCause.LEASE_EXPIRED


class Site:
    """What an agent does with the server's orders, over the connector of a harness."""

    def __init__(self, harness: Harness, orders: Orders, fences: Fences) -> None:
        self.orders = orders
        self._harness = harness
        self._fences = fences

    def start(self, order: RunOrder) -> int:
        """How many runs were started."""
        known = {run.run_id: run for run in self._harness.connector.observe()}
        return self.orders.start([order], known, self._harness.new_lease(), NEVER_NS)[0]

    def stop(self, *stops: StopOrder) -> int:
        """How many stops reached the connector."""
        return self.orders.stop(stops, {run.run_id: run for run in self._harness.connector.observe()})

    def forget(self, run_id: int) -> None:
        self._fences.mark_ended([run_id])
        self._harness.connector.forget(run_id)
        eventually(lambda: report_of(self._harness, run_id) is None)


@contextmanager
def site_of(harness: Harness, folder: Path) -> Iterator[Site]:
    """An agent's judgement of orders, which remembers in this folder what it has seen."""
    fences = Fences(folder / "fences")
    orders = Orders(
        connector=harness.connector,
        fences=fences,
        content=cast(ContentCache, None),  # no order here has a working directory
        contract=contract(),
        policy=DEFAULT_POLICY,
        clock=SystemClock(),
    )
    try:
        yield Site(harness, orders, fences)
    finally:
        fences.close()
