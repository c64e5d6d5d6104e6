"""Offers, recalls and reservations; and of jobs what they need to save their state, by which they are placed before a drop."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
#: A job that has ended is not placed again.
_ENDED = ("succeeded", "failed", "cancelled")
_GRACE_SECONDS = 60
_ROWS_A_STATEMENT = 1_000


def upgrade() -> None:
    """Create the tables; jobs that have not ended are told what their job files say."""
    _create_offers()
    _create_recalls()
    _create_reservations()
    op.add_column("jobs", sa.Column("save_ms", sa.BigInteger(), nullable=True))
    _fill(op.get_bind())


def downgrade() -> None:
    """Drop what was added."""
    op.drop_column("jobs", "save_ms")
    for table in ("reservations", "recalls", "offers"):
        op.drop_table(table)


def _column(name: str, kind: sa.types.TypeEngine[Any], *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=nullable)


def _create(name: str, *columns: sa.schema.SchemaItem) -> None:
    op.create_table(
        name,
        _column("id", ID),
        _column("site_id", ID),
        *columns,
        _column("created_by", sa.String(128)),
        _column("change", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name=f"pk_{name}"),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=f"fk_{name}_site_id"),
    )
    for column in ("site_id", "change"):
        op.create_index(f"ix_{name}_{column}", name, [column])


def _create_offers() -> None:
    _create(
        "offers",
        _column("group_id", ID, nullable=True),
        _column("terms", sa.Text()),
        _column("closes_ms", sa.BigInteger(), nullable=True),
        _column("created_ms", sa.BigInteger()),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name="fk_offers_group_id"),
    )


def _create_recalls() -> None:
    _create(
        "recalls",
        _column("gpu_class", sa.String(31)),
        _column("nodes", sa.Integer()),
        _column("node_ids", sa.JSON()),
        _column("asked_ms", sa.BigInteger()),
        _column("by_ms", sa.BigInteger()),
        _column("until_ms", sa.BigInteger(), nullable=True),
        _column("withdrawn_ms", sa.BigInteger(), nullable=True),
    )


def _create_reservations() -> None:
    _create(
        "reservations",
        _column("gpu_class", sa.String(31), nullable=True),
        _column("node_ids", sa.JSON()),
        _column("from_ms", sa.BigInteger()),
        _column("to_ms", sa.BigInteger(), nullable=True),
        _column("reason", sa.Text()),
        _column("created_ms", sa.BigInteger()),
        _column("withdrawn_ms", sa.BigInteger(), nullable=True),
    )


def _fill(connection: sa.Connection) -> None:
    jobs = sa.table("jobs", *map(sa.column, ("id", "state", "spec", "save_ms")))
    wanted = sa.select(jobs.c.id, jobs.c.spec).where(
        jobs.c.state.not_in(_ENDED), jobs.c.spec.contains('"checkpoint"', autoescape=True)
    )
    found = [{"row": row.id, "value": _save_ms(json.loads(row.spec))} for row in connection.execute(wanted).all()]
    change = sa.update(jobs).where(jobs.c.id == sa.bindparam("row")).values(save_ms=sa.bindparam("value"))
    for start in range(0, len(found), _ROWS_A_STATEMENT):
        connection.execute(change, found[start : start + _ROWS_A_STATEMENT])


def _save_ms(spec: dict[str, Any]) -> int | None:
    checkpoint = spec.get("checkpoint")
    if checkpoint is None:
        return None
    milliseconds: int = checkpoint.get("grace", _GRACE_SECONDS) * 1000
    return milliseconds
