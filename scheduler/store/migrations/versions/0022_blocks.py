"""Blocks of sites' leaves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Add the column. No site has any yet."""
    op.add_column("sites", sa.Column("block_nodes", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("sites", "block_nodes")
