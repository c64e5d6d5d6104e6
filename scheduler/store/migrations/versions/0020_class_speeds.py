"""Speeds of GPU classes, and how a prediction is told of its class."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Add the table and the column. Nobody has said how fast classes are, and of predictions made before it is not known."""
    op.create_table(
        "class_speeds",
        sa.Column("name", sa.String(31), nullable=False),
        sa.Column("speed", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_class_speeds"),
    )
    op.add_column("jobs", sa.Column("class_basis", sa.String(8), nullable=True))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("jobs", "class_basis")
    op.drop_table("class_speeds")
