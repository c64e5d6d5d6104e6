"""Takes the server's answer to the connector: what to start, to stop and to forget, within the agent's own
laws.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import structlog

from connectors.agent.content import ContentCache
from connectors.agent.fences import Fences
from connectors.agent.guard import why_not_allowed
from connectors.clock import Clock
from connectors.errors import ConnectorError, ContentMismatch, ServerRefused, ServerUnavailable
from connectors.message import message_of
from connectors.protocol import Connector, Lease
from scheduler.model.data_class import DataClassPolicy
from scheduler.model.job_state import EndCause, RunPhase
from scheduler.model.wire import RunOrder, RunReport, SiteContract, StopOrder


class Orders:
    """Judges orders. ``refused`` holds reports of runs that never came to the connector, until they are
    forgotten.
    """

    def __init__(
        self,
        *,
        connector: Connector,
        fences: Fences,
        content: ContentCache,
        contract: SiteContract,
        policy: DataClassPolicy,
        clock: Clock,
    ) -> None:
        self.refused: dict[int, RunReport] = {}
        self._connector = connector
        self._fences = fences
        self._content = content
        self._contract = contract
        self._policy = policy
        self._clock = clock
        self._log = structlog.get_logger("connectors.agent")

    def hold_to(self, contract: SiteContract) -> None:
        """Judge by this contract from now on."""
        self._contract = contract

    def start(
        self, orders: Sequence[RunOrder], known: dict[int, RunReport], lease: Lease, until_boottime_ns: int
    ) -> tuple[int, int]:
        """Start what may be started now: how many were, and how many time was too short for. The others are refused,
        or come again when they can be.

        ``known`` are the connector's runs. All fences of one answer are flushed together, before any start.
        """
        ready: list[tuple[RunOrder, Path | None]] = []
        for order in orders:
            if order.run_id in known or order.run_id in self.refused:
                continue
            why = self._fences.why_stale(order) or why_not_allowed(order, self._contract, self._policy)
            if why is not None:
                self._refuse(order, EndCause.REFUSED, why)
                continue
            if self._older_run_lives(order, known):
                continue
            try:
                archive = self._content.find(order.working_directory) if order.working_directory else None
            except ServerUnavailable as fault:
                self._log.warning("content did not arrive", run_id=order.run_id, fault=str(fault))
                continue
            except (ServerRefused, ContentMismatch, ConnectorError, OSError) as fault:
                self._refuse(order, EndCause.START_FAILED, f"working directory: {fault}")
                continue
            if archive is not None or order.working_directory is None:
                ready.append((order, archive))
        self._fences.raise_to(order for order, _ in ready)
        for number, (order, archive) in enumerate(ready):
            if number and self._clock.boottime_ns() > until_boottime_ns:
                return number, len(ready) - number
            self._connector.start(order, lease, archive)
        return len(ready), 0

    def _older_run_lives(self, order: RunOrder, known: dict[int, RunReport]) -> bool:
        """At most one epoch of a job runs: an older one that still lives here is ended first; the order
        comes again.
        """
        fence = self._fences.of_job(order.job_id)
        older = known.get(fence.run_id) if fence is not None else None
        if fence is None or older is None or older.phase is RunPhase.ENDED:
            return False
        self._connector.stop(
            StopOrder(
                run_id=older.run_id,
                epoch=older.epoch,
                cause=EndCause.LEASE_EXPIRED,
                grace_seconds=0.0,
                checkpoint=False,
            )
        )
        return True

    def _refuse(self, order: RunOrder, cause: EndCause, why: str) -> None:
        self._log.warning("run refused", run_id=order.run_id, epoch=order.epoch, cause=cause, why=why)
        self.refused[order.run_id] = RunReport(
            run_id=order.run_id,
            epoch=order.epoch,
            phase=RunPhase.ENDED,
            ended_ms=self._clock.now_ms(),
            cause=cause,
            message=message_of(why),
        )

    def stop(self, orders: Sequence[StopOrder], known: dict[int, RunReport]) -> int:
        """Hand stops on; how many were new words to the connector. What has ended here is left in peace, and so is a run
        of a newer epoch than the stop's.
        """
        handed = 0
        for order in orders:
            report = known.get(order.run_id) or self.refused.get(order.run_id)
            fence = self._fences.of_run(order.run_id)
            forgotten = report is None and fence is not None and fence.ended
            if forgotten or (report is not None and report.phase is RunPhase.ENDED):
                continue
            if report is not None and order.epoch < report.epoch:
                self._log.warning("stop refused", run_id=order.run_id, epoch=order.epoch, newest=report.epoch)
                continue
            self._connector.stop(order)
            handed += 1
        return handed
