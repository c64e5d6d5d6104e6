"""What groups used before, and how it decays."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the tables. What was used until now counts for nothing: it is known from here on."""
    op.create_table(
        "past_uses",
        sa.Column("group_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("gpu_class", sa.String(31), nullable=False),
        sa.Column("gpu_milliseconds", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name="fk_past_uses_group_id_groups"),
        sa.PrimaryKeyConstraint("group_id", "gpu_class", name="pk_past_uses"),
    )
    op.create_index("ix_past_uses_change", "past_uses", ["change"])
    op.create_table(
        "decay_rules",
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("half_life_ms", sa.BigInteger(), nullable=False),
        sa.Column("entry_ms", sa.BigInteger(), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_decay_rules"),
    )
    op.create_index("ix_decay_rules_change", "decay_rules", ["change"])


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_decay_rules_change", "decay_rules")
    op.drop_table("decay_rules")
    op.drop_index("ix_past_uses_change", "past_uses")
    op.drop_table("past_uses")
