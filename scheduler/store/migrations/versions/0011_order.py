"""Predicted run times, and the order inside groups."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the columns and the table. Nothing is known of what has run before, and no job that waits has a prediction."""
    op.add_column("groups", sa.Column("job_order", sa.String(16), nullable=True))
    for table in ("jobs", "runs"):
        op.add_column(table, sa.Column("predicted_ms", sa.BigInteger(), nullable=True))
        served = sa.Column("served_ms", sa.BigInteger(), nullable=False, server_default=sa.text("0"))
        op.add_column(table, served)
    op.add_column("jobs", sa.Column("predicted_from", sa.String(8), nullable=True))
    op.create_table(
        "run_times",
        sa.Column("scope", sa.String(8), nullable=False),
        sa.Column("owner_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("gpus", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.Column("before_ms", sa.BigInteger(), nullable=True),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "owner_id", "gpus", name="pk_run_times"),
    )
    op.create_index("ix_run_times_change", "run_times", ["change"])


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_run_times_change", "run_times")
    op.drop_table("run_times")
    op.drop_column("jobs", "predicted_from")
    for table in ("runs", "jobs"):
        op.drop_column(table, "served_ms")
        op.drop_column(table, "predicted_ms")
    op.drop_column("groups", "job_order")
