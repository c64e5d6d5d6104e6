"""What groups lent, and what they held above their shares."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add the table. What was lent until now counts for nothing: it is known from here on."""
    op.create_table(
        "standings",
        sa.Column("group_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("gpu_class", sa.String(31), nullable=False),
        sa.Column("lent_gpu_microseconds", sa.BigInteger(), nullable=False),
        sa.Column("surged_gpu_microseconds", sa.BigInteger(), nullable=False),
        sa.Column("lends_milligpus", sa.BigInteger(), nullable=False),
        sa.Column("surges_milligpus", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name="fk_standings_group_id_groups"),
        sa.PrimaryKeyConstraint("group_id", "gpu_class", name="pk_standings"),
    )
    op.create_index("ix_standings_change", "standings", ["change"])


def downgrade() -> None:
    """Drop it."""
    op.drop_index("ix_standings_change", "standings")
    op.drop_table("standings")
