"""Which logs have come in whole."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the table; of older logs nothing is known."""
    op.create_table(
        "log_ends",
        sa.Column("run_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("rank", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "rank", name="pk_log_ends"),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("log_ends")
