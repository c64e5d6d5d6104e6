"""Jobs that lost a run wait a while before they are placed again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the time; nobody waits."""
    op.add_column("jobs", sa.Column("not_before_ms", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Drop the time."""
    op.drop_column("jobs", "not_before_ms")
