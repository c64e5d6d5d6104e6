"""A supervised site as the laws have it: runs that are truly alive until they end, are stopped, or their lease is over."""

from __future__ import annotations

from dataclasses import dataclass

from runtime import ScriptedAgent, Stage

from scheduler.model.job_state import EndCause, RunPhase
from scheduler.model.wire import RunReport, SyncResponse

INCARNATION = 1 << 32
FIRST_MS = 1_800_000_000_000


@dataclass
class TrueRun:
    """What is the case at the site, whoever knows of it."""

    run_id: int
    epoch: int
    job_id: int
    started_ms: int
    lease_until_ms: int
    ended_ms: int | None = None
    cause: EndCause = EndCause.EXITED
    forgotten: bool = False

    def report(self) -> RunReport:
        """What the agent says of it."""
        over = self.ended_ms is not None
        return RunReport(
            run_id=self.run_id,
            epoch=self.epoch,
            phase=RunPhase.ENDED if over else RunPhase.RUNNING,
            started_ms=self.started_ms,
            ended_ms=self.ended_ms,
            cause=self.cause if over else None,
            exit_code=0 if over and self.cause is EndCause.EXITED else None,
        )


class SiteModel:
    """One site: its agent, and the processes beside it, which live by their leases alone."""

    def __init__(self, stage: Stage, agent: ScriptedAgent) -> None:
        self.agent = agent
        self._stage = stage
        self.runs: dict[int, TrueRun] = {}
        self._complete_due = True

    def _now_ms(self) -> int:
        """The site's own time, which goes on evenly whatever becomes of the server's wall clock."""
        return FIRST_MS + round(self._stage.clock.monotonic_seconds() * 1000)

    def alive(self) -> list[TrueRun]:
        """The runs that are alive now; those whose lease is over have been ended by their supervisors."""
        now_ms = self._now_ms()
        for run in self.runs.values():
            if run.ended_ms is None and run.lease_until_ms <= now_ms:
                run.ended_ms, run.cause = run.lease_until_ms, EndCause.LEASE_EXPIRED
        return [run for run in self.runs.values() if run.ended_ms is None]

    def finish(self, number: int) -> None:
        """One of the live runs ends by itself, and well."""
        alive = self.alive()
        if alive:
            alive[number % len(alive)].ended_ms = self._now_ms()

    def restart_agent(self) -> None:
        """The agent starts anew; the processes go on."""
        self.agent.sequence = (self.agent.sequence // INCARNATION + 1) * INCARNATION
        self._complete_due = True

    def sync(self, *, answer_lost: bool = False) -> None:
        """One request about all that is not forgotten; its answer is applied unless it is lost."""
        self.alive()
        sent_ms = self._now_ms()
        reports = [run.report() for run in self.runs.values() if not run.forgotten]
        answer = self.agent.sync(*reports, complete=self._complete_due)
        if not answer_lost:
            self._complete_due = answer.complete_wanted
            self._apply(answer, sent_ms)

    def _apply(self, answer: SyncResponse, sent_ms: int) -> None:
        now_ms = self._now_ms()
        until_ms = sent_ms + round(answer.lease_seconds * 1000)
        stopped = {stop.run_id: stop for stop in answer.stop}
        for run in self.alive():
            if run.run_id in stopped:
                run.ended_ms, run.cause = now_ms, stopped[run.run_id].cause
            else:
                run.lease_until_ms = until_ms
        for order in answer.start:
            if order.run_id not in self.runs and order.run_id not in stopped:
                self.runs[order.run_id] = TrueRun(order.run_id, order.epoch, order.job_id, now_ms, until_ms)
        for run_id in answer.forget:
            self.runs[run_id].forgotten = True
