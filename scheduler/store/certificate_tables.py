"""SQL tables of what the certificate needs to know of the past, and of the newest one. As in ``tables``; nobody follows them."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, String, Table, text

from scheduler.store.tables import Id, jobs, metadata

reported_gpus = Table(
    "reported_gpus",
    metadata,
    # So many GPUs of a class stood at a site from a moment on, until its next row; and as many in its largest node.
    Column("site_id", Id, ForeignKey("sites.id"), primary_key=True),
    Column("gpu_class", String(31), primary_key=True),
    Column("at_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("gpus", Integer, nullable=False),
    Column("node_gpus", Integer, nullable=False),
)

certificates = Table(
    "certificates",
    metadata,
    Column("name", String(16), primary_key=True),  # "federation"
    Column("made_ms", BigInteger, nullable=False),
    Column("document", JSON, nullable=False),  # service.certificate.Certified
)

#: What ended lately is looked for among all that ever did.
Index(
    "ix_jobs_ended_ms",
    jobs.c.ended_ms,
    sqlite_where=text("ended_ms IS NOT NULL"),
    postgresql_where=text("ended_ms IS NOT NULL"),
)
