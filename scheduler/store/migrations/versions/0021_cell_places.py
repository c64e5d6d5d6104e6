"""Where cells are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Add the table. The scheduler that leads next finds places for the cells that there are, as it always did."""
    op.create_table(
        "cell_places",
        sa.Column("gpu_class", sa.String(31), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("group_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("nodes", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name="fk_cell_places_group_id_groups"),
        sa.PrimaryKeyConstraint("gpu_class", "domain", name="pk_cell_places"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("cell_places")
