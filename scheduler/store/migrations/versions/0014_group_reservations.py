"""Nodes reserved for a group."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the column: what was reserved before was for nobody."""
    op.add_column("reservations", sa.Column("group_id", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("reservations", "group_id")
