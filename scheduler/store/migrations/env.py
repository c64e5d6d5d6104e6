"""Alembic's entry: runs the revisions on the connection, and in the transaction, that ``store.migrate``
handed over."""

from __future__ import annotations

from alembic import context

import scheduler.store.cell_place_tables
import scheduler.store.certificate_tables
import scheduler.store.content_tables
import scheduler.store.past_use_tables
import scheduler.store.speed_tables
import scheduler.store.standing_tables  # noqa: F401 - their tables belong to the metadata
from scheduler.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
    render_as_batch=False,
)
with context.begin_transaction():
    context.run_migrations()
