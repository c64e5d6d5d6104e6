"""Run times by GPU class."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Make the class a part of the key. On which class jobs ran that ended before is not known."""
    op.execute("CREATE TABLE kept_run_times AS SELECT scope, owner_id, gpus, last_ms, before_ms, change FROM run_times")
    _replace([sa.Column("gpu_class", sa.String(31), nullable=False)], ["scope", "owner_id", "gpus", "gpu_class"])
    op.execute(
        "INSERT INTO run_times (scope, owner_id, gpus, last_ms, before_ms, change, gpu_class) "
        "SELECT scope, owner_id, gpus, last_ms, before_ms, change, '' FROM kept_run_times"
    )
    op.drop_table("kept_run_times")


def downgrade() -> None:
    """Keep what is known of all classes together."""
    op.execute(
        "CREATE TABLE kept_run_times AS SELECT scope, owner_id, gpus, last_ms, before_ms, change FROM run_times "
        "WHERE gpu_class = ''"
    )
    _replace([], ["scope", "owner_id", "gpus"])
    op.execute(
        "INSERT INTO run_times (scope, owner_id, gpus, last_ms, before_ms, change) "
        "SELECT scope, owner_id, gpus, last_ms, before_ms, change FROM kept_run_times"
    )
    op.drop_table("kept_run_times")


def _replace(added: list[sa.Column[str]], keys: list[str]) -> None:
    op.drop_index("ix_run_times_change", "run_times")
    op.drop_table("run_times")
    op.create_table(
        "run_times",
        sa.Column("scope", sa.String(8), nullable=False),
        sa.Column("owner_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("gpus", sa.Integer(), autoincrement=False, nullable=False),
        *added,
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.Column("before_ms", sa.BigInteger(), nullable=True),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(*keys, name="pk_run_times"),
    )
    op.create_index("ix_run_times_change", "run_times", ["change"])
