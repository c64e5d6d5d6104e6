"""What lenders are owed for the nodes of a run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add the column. Of runs before the exchange table speaks."""
    op.add_column("runs", sa.Column("lender_rates", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("runs", "lender_rates")
