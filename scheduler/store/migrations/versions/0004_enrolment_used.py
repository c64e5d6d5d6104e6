"""An enrolment token that was used has no time to expire any more: that is how a new one is told from it."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Mark the tokens of sites that have an agent as used."""
    op.execute("UPDATE sites SET enrolment_expires_ms = NULL WHERE credential_hash IS NOT NULL")


def downgrade() -> None:
    """Nothing to undo: a used token stays used."""
