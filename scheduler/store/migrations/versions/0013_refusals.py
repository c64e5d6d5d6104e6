"""Sites that refused a job."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the column. What sites refused before is not known."""
    op.add_column("jobs", sa.Column("refusals", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("jobs", "refusals")
