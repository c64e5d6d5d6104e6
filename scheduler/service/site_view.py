"""One site's live runs in a server's memory, following the store by change number."""

from __future__ import annotations

from sqlalchemy import Connection

from scheduler.model.job_state import RunPhase
from scheduler.model.wire import digest_of_run_sum, term_of_run
from scheduler.store.follow import changed_since
from scheduler.store.runs import RunRow
from scheduler.store.tables import runs

#: An order that was told is told again after so long, in case its answer was lost.
REPEAT_SECONDS = 2.0
#: An agent that was started anew counts on from the next multiple.
SEQUENCES_A_START = 1 << 32


class SiteView:
    """Not thread-safe: its owner holds a lock while using it."""

    def __init__(self, site_id: int) -> None:
        self.site_id = site_id
        self.live: dict[int, RunRow] = {}
        self._leased: dict[int, None] = {}
        self._stopping: dict[int, None] = {}
        self._change = 0
        self._reported_sum = 0
        self._reported_count = 0
        self._told: dict[tuple[int, int | None], float] = {}
        self._newest_sequence = -1

    @property
    def change(self) -> int:
        """The change number up to which it has followed."""
        return self._change

    def catch_up(self, connection: Connection) -> None:
        """Take in what changed of the site's runs."""
        own = runs.c.site_id == self.site_id
        where = own & (runs.c.phase != RunPhase.ENDED.value) if self._change == 0 else own
        while True:
            page = changed_since(connection, runs, self._change, where=where)
            for row in page.rows:
                self._put(RunRow(*tuple(row)))
            self._change = page.change
            if not page.more:
                return

    def digest(self) -> str:
        """``digest_of_runs`` over the runs that were reported and have not ended."""
        return digest_of_run_sum(self._reported_count, self._reported_sum)

    def reported(self) -> list[RunRow]:
        """Runs that the agent has reported and that have not ended."""
        return [run for run in self.live.values() if run.phase != RunPhase.LEASED.value]

    def hear(self, sequence: int, *, complete: bool) -> None:
        """A request came; an agent that was started anew, or that repeats everything, is told everything again."""
        anew = sequence // SEQUENCES_A_START != self._newest_sequence // SEQUENCES_A_START
        if anew or complete:
            self._told.clear()
        self._newest_sequence = sequence if anew else max(sequence, self._newest_sequence)

    def is_newest(self, sequence: int) -> bool:
        """Whether no later request of the agent was heard here."""
        return sequence >= self._newest_sequence

    def starts_due(self, now_seconds: float, count_max: int) -> list[RunRow]:
        """Runs to order now: leased, not being stopped, and not told a moment ago."""
        due: list[RunRow] = []
        for run_id in self._leased:
            run = self.live[run_id]
            if run.stop_cause is None and self._is_due((run_id, None), now_seconds):
                due.append(run)
                if len(due) == count_max:
                    break
        return due

    def stops_due(self, now_seconds: float) -> list[RunRow]:
        """Runs to stop now."""
        live = self.live
        return [live[each] for each in self._stopping if self._is_due((each, live[each].stop_grace_ms), now_seconds)]

    def tell(self, starts: list[RunRow], stops: list[RunRow], now_seconds: float) -> None:
        """Note that these were told."""
        self._told.update({(run.id, None): now_seconds for run in starts})
        self._told.update({(run.id, run.stop_grace_ms): now_seconds for run in stops})

    def _is_due(self, key: tuple[int, int | None], now_seconds: float) -> bool:
        return now_seconds - self._told.get(key, float("-inf")) >= REPEAT_SECONDS

    def _put(self, run: RunRow) -> None:
        before = self.live.pop(run.id, None)
        if before is not None and before.phase != RunPhase.LEASED.value:
            self._reported_sum -= term_of_run(before.id, before.epoch)
            self._reported_count -= 1
        self._leased.pop(run.id, None)
        self._stopping.pop(run.id, None)
        if run.phase == RunPhase.ENDED.value:
            self._told.pop((run.id, None), None)
            self._told.pop((run.id, run.stop_grace_ms), None)
            return
        self.live[run.id] = run
        if run.phase == RunPhase.LEASED.value:
            self._leased[run.id] = None
        else:
            self._reported_sum += term_of_run(run.id, run.epoch)
            self._reported_count += 1
        if run.stop_cause is not None:
            self._stopping[run.id] = None
