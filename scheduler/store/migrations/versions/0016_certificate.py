"""What the certificate needs to know of the past, and where it is kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

_ENDED = sa.text("ended_ms IS NOT NULL")


def upgrade() -> None:
    """Add the tables. Of the time until now the most is taken: every node that ever was, as if it had been there always."""
    op.create_table(
        "reported_gpus",
        sa.Column("site_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("gpu_class", sa.String(31), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("gpus", sa.Integer(), nullable=False),
        sa.Column("node_gpus", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name="fk_reported_gpus_site_id_sites"),
        sa.PrimaryKeyConstraint("site_id", "gpu_class", "at_ms", name="pk_reported_gpus"),
    )
    op.execute(
        "INSERT INTO reported_gpus (site_id, gpu_class, at_ms, gpus, node_gpus) "
        "SELECT site_id, gpu_class, 0, sum(gpus), max(gpus) FROM nodes GROUP BY site_id, gpu_class"
    )
    op.create_table(
        "certificates",
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_certificates"),
    )
    op.create_index("ix_jobs_ended_ms", "jobs", ["ended_ms"], sqlite_where=_ENDED, postgresql_where=_ENDED)


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_jobs_ended_ms", "jobs")
    op.drop_table("certificates")
    op.drop_table("reported_gpus")
