"""Runs that are stopped for other jobs, and nodes that are held for those."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

#: Grace of a job that keeps no checkpoint, and of one that does not say, as they stood when this was written.
GRACE_MS = 10_000
CHECKPOINT_GRACE_MS = 60_000

_RUNS = (
    ("charged_lost_from_ms", sa.BigInteger(), True, None),
    ("preemptible", sa.Boolean(), False, sa.true()),
    ("priority", sa.Integer(), False, sa.text("0")),
    ("grace_ms", sa.BigInteger(), False, sa.text("0")),
    ("checkpoints", sa.Boolean(), False, sa.false()),
    ("stop_preemptor", sa.BigInteger(), True, None),
)


def upgrade() -> None:
    """Add the columns; runs that are live are told what their jobs asked for."""
    for name, kind, nullable, default in _RUNS:
        op.add_column("runs", sa.Column(name, kind, nullable=nullable, server_default=default))
    op.add_column("jobs", sa.Column("earmark", sa.JSON(none_as_null=True), nullable=True))
    _fill_live_runs(op.get_bind())


def downgrade() -> None:
    """Drop the columns."""
    op.drop_column("jobs", "earmark")
    for name, *_ in reversed(_RUNS):
        op.drop_column("runs", name)


def _fill_live_runs(connection: sa.Connection) -> None:
    runs = sa.table("runs", *(sa.column(name) for name in ("id", "job_id", "phase", "priority", "grace_ms")),
                    sa.column("preemptible", sa.Boolean()), sa.column("checkpoints", sa.Boolean()))  # fmt: skip
    jobs = sa.table("jobs", *(sa.column(name) for name in ("id", "shape_id", "priority", "spec")))
    shapes = sa.table("shapes", sa.column("id"), sa.column("request", sa.JSON()))
    joined = runs.join(jobs, runs.c.job_id == jobs.c.id).join(shapes, jobs.c.shape_id == shapes.c.id)
    live = sa.select(runs.c.id, jobs.c.priority, jobs.c.spec, shapes.c.request).select_from(joined)
    for run_id, priority, spec, request in connection.execute(live.where(runs.c.phase != "ended")).all():
        checkpoint = json.loads(spec).get("checkpoint")
        grace_ms = GRACE_MS if checkpoint is None else _milliseconds(checkpoint.get("grace"))
        values = {"preemptible": request["preemptible"], "priority": priority, "grace_ms": grace_ms}
        change = sa.update(runs).where(runs.c.id == run_id).values(**values, checkpoints=checkpoint is not None)
        connection.execute(change)


def _milliseconds(grace_seconds: int | None) -> int:
    return CHECKPOINT_GRACE_MS if grace_seconds is None else grace_seconds * 1000
