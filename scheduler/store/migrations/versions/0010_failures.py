"""Retries by category, deadlines, and nodes that are set aside for what failed on them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_COUNTS = ("memory_failures", "walltime_failures", "alike_failures")
_WAITING = "start_by_ms IS NOT NULL AND state IN ('queued', 'held')"
_OF_NODES = (("aside_ms", sa.BigInteger()), ("aside_by", sa.String(128)), ("aside_reason", sa.JSON()))


def upgrade() -> None:
    """Add the columns and the table; no job that is there has a deadline, and no node is set aside."""
    for name in _COUNTS:
        op.add_column("jobs", sa.Column(name, sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.add_column("jobs", sa.Column("alike_exit_code", sa.Integer(), nullable=True))
    op.add_column("jobs", sa.Column("start_by_ms", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_jobs_start_by_ms",
        "jobs",
        ["start_by_ms"],
        sqlite_where=sa.text(_WAITING),
        postgresql_where=sa.text(_WAITING),
    )
    for name, kind in (*_OF_NODES, ("trusted_ms", sa.BigInteger())):
        op.add_column("nodes", sa.Column(name, kind, nullable=True))
    aside = sa.text("aside_ms IS NOT NULL")
    op.create_index("ix_nodes_aside_ms", "nodes", ["aside_ms"], sqlite_where=aside, postgresql_where=aside)
    op.create_table(
        "node_failures",
        sa.Column("node_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.String(32), nullable=False),
        sa.Column("suspects", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["node_id"], ["nodes.id"], name="fk_node_failures_node_id_nodes"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_node_failures_run_id_runs"),
        sa.PrimaryKeyConstraint("node_id", "run_id", name="pk_node_failures"),
    )
    op.create_index("ix_node_failures_at_ms", "node_failures", ["at_ms"])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("node_failures")
    op.drop_index("ix_nodes_aside_ms", "nodes")
    for name in ("trusted_ms", *(name for name, _ in reversed(_OF_NODES))):
        op.drop_column("nodes", name)
    op.drop_index("ix_jobs_start_by_ms", "jobs")
    for name in ("start_by_ms", "alike_exit_code", *reversed(_COUNTS)):
        op.drop_column("jobs", name)
