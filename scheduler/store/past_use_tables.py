"""SQL tables of what groups used before, and of the rule by which it counts less and less. As in ``tables``."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, String, Table

from scheduler.store.tables import Id, metadata

past_uses = Table(
    "past_uses",
    metadata,
    # What a group's own ended runs come to, as the rule of now counts it at a moment.
    Column("group_id", Id, ForeignKey("groups.id"), primary_key=True),
    Column("gpu_class", String(31), primary_key=True),
    Column("gpu_milliseconds", BigInteger, nullable=False),  # decay.DecayedUse
    Column("at_ms", BigInteger, nullable=False),
    Column("change", BigInteger, nullable=False, index=True),
)

decay_rules = Table(
    "decay_rules",
    metadata,
    Column("name", String(16), primary_key=True),  # "past_use"; without a row the default holds
    Column("half_life_ms", BigInteger, nullable=False),
    Column("entry_ms", BigInteger, nullable=False),
    Column("change", BigInteger, nullable=False, index=True),  # also the row's ETag
)
