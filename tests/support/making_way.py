"""A job that saves its state when it has to make way, and what the ledger says afterwards."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import func, select

from scheduler.service.runtime import Runtime
from scheduler.store.tables import ledger, runs

SAVES = {"directory": "auto", "signal": "SIGUSR1", "grace": "30s"}


def steps(progress: Path) -> list[str]:
    """A command whose every worker works until it is told to save, and is done at once where it finds what it saved."""
    saved = "$DURE_CHECKPOINT_DIR/saved-$RANK"
    script = (
        f'trap "echo step > {saved}; echo saved >> {progress}; exit 1" USR1;'
        f" if [ -e {saved} ]; then echo resumed >> {progress}; exit 0; fi;"
        f" echo begun >> {progress}; while :; do sleep 0.05; done"
    )
    return ["sh", "-c", script]


def assert_ledger_balances(runtime: Runtime, account_of_cause: dict[str, str]) -> None:
    """Every run that ended for a cause was charged in full to that one account, and its site is credited as much."""
    with runtime.database.read() as connection:
        ended = connection.execute(select(runs).where(runs.c.phase == "ended")).all()
        assert {run.cause for run in ended} == set(account_of_cause)
        for run in ended:
            amount = func.sum(ledger.c.gpu_milliseconds)
            own = select(ledger.c.account_kind, amount).where(ledger.c.run_id == run.id)
            sums = {kind: int(total) for kind, total in connection.execute(own.group_by(ledger.c.account_kind))}
            used = run.gpus * (run.ended_ms - run.started_ms)
            assert sums == {account_of_cause[run.cause]: used, "provider": -used}
