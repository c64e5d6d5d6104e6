"""Jobs that wait for other jobs, and tasks of job arrays."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_OF_ARRAYS = ("array_task", "array_tasks", "array_running_max")


def upgrade() -> None:
    """Add the columns and the table; the jobs that are there wait for no other and belong to no array."""
    op.add_column("jobs", sa.Column("awaits", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("jobs", sa.Column("array_id", sa.BigInteger(), nullable=True))
    for name in _OF_ARRAYS:
        op.add_column("jobs", sa.Column(name, sa.Integer(), nullable=True))
    op.create_index(
        "ix_jobs_array_id",
        "jobs",
        ["array_id"],
        sqlite_where=sa.text("array_id IS NOT NULL"),
        postgresql_where=sa.text("array_id IS NOT NULL"),
    )
    op.create_table(
        "dependencies",
        sa.Column("waiter_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("on_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("condition", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("waiter_id", "on_id", "condition", name="pk_dependencies"),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("dependencies")
    op.drop_index("ix_jobs_array_id", "jobs")
    for name in reversed(_OF_ARRAYS):
        op.drop_column("jobs", name)
    op.drop_column("jobs", "array_id")
    op.drop_column("jobs", "awaits")
