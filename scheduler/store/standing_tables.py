"""SQL table of groups' standing. As in ``tables``."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, String, Table

from scheduler.store.tables import Id, metadata

standings = Table(
    "standings",
    metadata,
    # What a group lent, and what it held above its share, as the rule of now counts it at a moment; and the thousandths of
    # GPUs that have counted since: standing.Standing.
    Column("group_id", Id, ForeignKey("groups.id"), primary_key=True),
    Column("gpu_class", String(31), primary_key=True),
    Column("lent_gpu_microseconds", BigInteger, nullable=False),
    Column("surged_gpu_microseconds", BigInteger, nullable=False),
    Column("lends_milligpus", BigInteger, nullable=False),
    Column("surges_milligpus", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("change", BigInteger, nullable=False, index=True),
)
