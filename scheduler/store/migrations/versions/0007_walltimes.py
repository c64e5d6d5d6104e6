"""Walltimes of jobs and runs, and what a run's job is when it waits again: what forecasts go by."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_RUNS = ("shape_id", "submitted_ms", "walltime_ms", "return_site_id")
#: A job that has ended does not wait again.
_ENDED = ("succeeded", "failed", "cancelled")
_ROWS_A_STATEMENT = 1_000


def upgrade() -> None:
    """Add the columns; jobs that have not ended and runs that are live are told what their job files say."""
    op.add_column("jobs", sa.Column("walltime_ms", sa.BigInteger(), nullable=True))
    for name in _RUNS:
        kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite") if name.endswith("_id") else sa.BigInteger()
        op.add_column("runs", sa.Column(name, kind, nullable=True))
    _fill(op.get_bind())


def downgrade() -> None:
    """Drop the columns."""
    for name in reversed(_RUNS):
        op.drop_column("runs", name)
    op.drop_column("jobs", "walltime_ms")


def _fill(connection: sa.Connection) -> None:
    names = ("id", "state", "spec", "shape_id", "submitted_ms", "bound_site_id", "walltime_ms")
    jobs = sa.table("jobs", *map(sa.column, names))
    wanted = sa.select(jobs.c.id, jobs.c.spec).where(
        jobs.c.state.not_in(_ENDED), jobs.c.spec.contains('"walltime"', autoescape=True)
    )
    found = [{"row": row.id, "value": _walltime_ms(json.loads(row.spec))} for row in connection.execute(wanted).all()]
    change = sa.update(jobs).where(jobs.c.id == sa.bindparam("row")).values(walltime_ms=sa.bindparam("value"))
    for start in range(0, len(found), _ROWS_A_STATEMENT):
        connection.execute(change, found[start : start + _ROWS_A_STATEMENT])
    runs = sa.table("runs", *map(sa.column, ("id", "job_id", "site_id", "phase", *_RUNS)))
    columns = (runs.c.id, runs.c.site_id, jobs.c.spec, jobs.c.shape_id, jobs.c.submitted_ms, jobs.c.bound_site_id)
    live = sa.select(*columns).select_from(runs.join(jobs, runs.c.job_id == jobs.c.id)).where(runs.c.phase != "ended")
    for row in connection.execute(live).all():
        spec = json.loads(row.spec)
        connection.execute(
            sa.update(runs)
            .where(runs.c.id == row.id)
            .values(
                shape_id=row.shape_id,
                submitted_ms=row.submitted_ms,
                walltime_ms=_walltime_ms(spec),
                return_site_id=row.site_id if _keeps_at_site(spec) else row.bound_site_id,
            )
        )


def _walltime_ms(spec: dict[str, Any]) -> int | None:
    seconds = spec.get("walltime")
    return None if seconds is None else seconds * 1000


def _keeps_at_site(spec: dict[str, Any]) -> bool:
    checkpoint = spec.get("checkpoint")
    return checkpoint is not None and checkpoint.get("directory", "auto") == "auto"
