"""Sites remember the highest request that was written down, so that every server knows one that was overtaken."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the number; no request was numbered yet."""
    op.add_column("sites", sa.Column("heard_sequence", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Drop the number."""
    op.drop_column("sites", "heard_sequence")
