"""The first schema: ``store.tables`` as it was when made, with the first counts and the federation itself."""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
#: The federation itself is written by change 1.
FIRST_COUNTS = {"change": 1, "job": 0, "run": 0}
#: In the order of their references.
TABLES = (
    "people", "tokens", "groups", "quotas", "memberships", "gpu_classes", "sites", "nodes",
    "operators", "shapes", "jobs", "runs", "ledger", "events", "counters", "leadership",
    "idempotency", "contents", "content_parts", "content_grants", "log_parts",
)  # fmt: skip


def upgrade() -> None:
    """Create every table and the rows that must always be there."""
    _create_people()
    _create_groups()
    _create_sites()
    _create_nodes()
    _create_jobs()
    _create_runs()
    _create_accounts()
    _create_counters_and_contents()
    _seed()


def downgrade() -> None:
    """Drop every table: the record is gone."""
    for table in reversed(TABLES):
        op.drop_table(table)


def _column(name: str, kind: sa.types.TypeEngine[Any], **options: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=options.pop("nullable", False), **options)


def _create_people() -> None:
    op.create_table(
        "people",
        _column("id", ID),
        _column("name", sa.String(128)),
        _column("created_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_people"),
        sa.UniqueConstraint("name", name="uq_people_name"),
    )
    op.create_table(
        "tokens",
        _column("id", ID),
        _column("person_id", ID),
        _column("name", sa.String(128)),
        _column("prefix", sa.String(16)),
        _column("hash", sa.String(64)),
        _column("scopes", sa.JSON()),
        _column("created_ms", sa.BigInteger()),
        _column("expires_ms", sa.BigInteger(), nullable=True),
        _column("revoked_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_tokens_person_id"),
        sa.UniqueConstraint("hash", name="uq_tokens_hash"),
    )
    op.create_index("ix_tokens_person_id", "tokens", ["person_id"])


def _create_groups() -> None:
    op.create_table(
        "groups",
        _column("id", ID),
        _column("parent_id", ID, nullable=True),
        _column("name", sa.String(63)),
        _column("path", sa.String(512)),
        _column("kind", sa.String(16)),
        _column("sector", sa.String(16)),
        _column("trust_domain", sa.String(128), nullable=True),
        _column("data_class", sa.String(1), nullable=True),
        _column("output_bytes_max", sa.BigInteger(), nullable=True),
        _column("example", sa.Boolean()),
        _column("created_ms", sa.BigInteger()),
        _column("change", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_groups"),
        sa.ForeignKeyConstraint(["parent_id"], ["groups.id"], name="fk_groups_parent_id"),
        sa.UniqueConstraint("path", name="uq_groups_path"),
    )
    op.create_index("ix_groups_change", "groups", ["change"])
    op.create_table(
        "quotas",
        _column("group_id", ID),
        _column("gpu_class", sa.String(31)),
        _column("guaranteed", sa.BigInteger()),
        _column("limit", sa.BigInteger(), nullable=True),
        _column("borrowing_limit", sa.BigInteger(), nullable=True),
        _column("lending_limit", sa.BigInteger(), nullable=True),
        _column("weight", sa.BigInteger()),
        _column("change", sa.BigInteger()),
        sa.PrimaryKeyConstraint("group_id", "gpu_class", name="pk_quotas"),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name="fk_quotas_group_id"),
    )
    op.create_index("ix_quotas_change", "quotas", ["change"])
    op.create_table(
        "memberships",
        _column("person_id", ID),
        _column("group_id", ID),
        _column("role", sa.String(16)),
        _column("change", sa.BigInteger()),
        sa.PrimaryKeyConstraint("person_id", "group_id", "role", name="pk_memberships"),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name="fk_memberships_group_id"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_memberships_person_id"),
    )
    op.create_index("ix_memberships_change", "memberships", ["change"])
    op.create_table(
        "gpu_classes",
        _column("name", sa.String(31)),
        _column("valid_from_ms", sa.BigInteger()),
        _column("credit_numerator", sa.BigInteger()),
        _column("credit_denominator", sa.BigInteger()),
        _column("change", sa.BigInteger()),
        sa.PrimaryKeyConstraint("name", "valid_from_ms", name="pk_gpu_classes"),
    )
    op.create_index("ix_gpu_classes_change", "gpu_classes", ["change"])


def _create_sites() -> None:
    op.create_table(
        "sites",
        _column("id", ID),
        _column("name", sa.String(63)),
        _column("owner", sa.String(128)),
        _column("operator", sa.String(128)),
        _column("facility", sa.String(128)),
        _column("csap", sa.String(8)),
        _column("state_facility", sa.Boolean()),
        _column("classified_network", sa.Boolean()),
        _column("isolates_users", sa.Boolean()),
        _column("trust_domain", sa.String(128), nullable=True),
        _column("supervised", sa.Boolean()),
        _column("lease_seconds", sa.Integer()),
        _column("state", sa.String(16)),
        _column("state_reason", sa.Text()),
        _column("enrolment_hash", sa.String(64), nullable=True),
        _column("enrolment_expires_ms", sa.BigInteger(), nullable=True),
        _column("credential_hash", sa.String(64), nullable=True),
        _column("agent", sa.String(253), nullable=True),
        _column("heard_ms", sa.BigInteger(), nullable=True),
        _column("created_ms", sa.BigInteger()),
        _column("change", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_sites"),
        sa.UniqueConstraint("credential_hash", name="uq_sites_credential_hash"),
        sa.UniqueConstraint("enrolment_hash", name="uq_sites_enrolment_hash"),
        sa.UniqueConstraint("name", name="uq_sites_name"),
    )
    op.create_index("ix_sites_change", "sites", ["change"])


def _create_nodes() -> None:
    op.create_table(
        "nodes",
        _column("id", ID),
        _column("site_id", ID),
        _column("name", sa.String(253)),
        _column("pool", sa.String(253)),
        _column("gpu_class", sa.String(31)),
        _column("gpus", sa.Integer()),
        _column("cpus", sa.Integer()),
        _column("memory_mib", sa.BigInteger()),
        _column("domain", sa.JSON()),
        _column("healthy", sa.Boolean()),
        _column("removed", sa.Boolean()),
        _column("change", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_nodes"),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name="fk_nodes_site_id"),
        sa.UniqueConstraint("site_id", "name", name="uq_nodes_site_id_name"),
    )
    op.create_index("ix_nodes_change", "nodes", ["change"])
    op.create_table(
        "operators",
        _column("person_id", ID),
        _column("site_id", ID),
        _column("change", sa.BigInteger()),
        sa.PrimaryKeyConstraint("person_id", "site_id", name="pk_operators"),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name="fk_operators_site_id"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_operators_person_id"),
    )
    op.create_index("ix_operators_change", "operators", ["change"])


def _create_jobs() -> None:
    op.create_table(
        "shapes",
        _column("id", ID),
        _column("hash", sa.String(64)),
        _column("request", sa.JSON()),
        sa.PrimaryKeyConstraint("id", name="pk_shapes"),
        sa.UniqueConstraint("hash", name="uq_shapes_hash"),
    )
    op.create_table(
        "jobs",
        _column("id", sa.BigInteger(), autoincrement=False),
        _column("group_id", ID),
        _column("person_id", ID),
        _column("name", sa.String(128)),
        _column("state", sa.String(16)),
        _column("shape_id", ID),
        _column("gpus", sa.Integer()),
        _column("priority", sa.Integer()),
        _column("spec", sa.Text()),
        _column("submitted_ms", sa.BigInteger()),
        _column("epoch", sa.Integer()),
        _column("run_id", sa.BigInteger(), nullable=True),
        _column("site_id", ID, nullable=True),
        _column("bound_site_id", ID, nullable=True),
        _column("cancel_requested", sa.Boolean()),
        _column("requeue_requested", sa.Boolean()),
        _column("failures", sa.Integer()),
        _column("infrastructure_failures", sa.Integer()),
        _column("retries", sa.Integer()),
        _column("started_ms", sa.BigInteger(), nullable=True),
        _column("ended_ms", sa.BigInteger(), nullable=True),
        _column("exit_code", sa.Integer(), nullable=True),
        _column("reason", sa.JSON(), nullable=True),
        _column("outputs", sa.String(71), nullable=True),
        _column("change", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_jobs_person_id"),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name="fk_jobs_group_id"),
        sa.ForeignKeyConstraint(["shape_id"], ["shapes.id"], name="fk_jobs_shape_id"),
    )
    op.create_index("ix_jobs_change", "jobs", ["change"])
    op.create_index("ix_jobs_group_id_state", "jobs", ["group_id", "state"])
    op.create_index("ix_jobs_person_id_id", "jobs", ["person_id", "id"])
    op.create_index("ix_jobs_state_change", "jobs", ["state", "change"])


def _create_runs() -> None:
    op.create_table(
        "runs",
        _column("id", sa.BigInteger(), autoincrement=False),
        _column("job_id", sa.BigInteger()),
        _column("group_id", ID),
        _column("epoch", sa.Integer()),
        _column("site_id", ID),
        _column("gpu_class", sa.String(31)),
        _column("gpus", sa.Integer()),
        _column("cpus_per_worker", sa.Integer()),
        _column("memory_mib_per_worker", sa.BigInteger()),
        _column("gpus_per_worker", sa.Integer()),
        _column("gang", sa.JSON()),
        _column("phase", sa.String(16)),
        _column("leased_ms", sa.BigInteger()),
        _column("started_ms", sa.BigInteger(), nullable=True),
        _column("ended_ms", sa.BigInteger(), nullable=True),
        _column("exit_code", sa.Integer(), nullable=True),
        _column("cause", sa.String(32), nullable=True),
        _column("message", sa.Text()),
        _column("stop_cause", sa.String(32), nullable=True),
        _column("stop_grace_ms", sa.BigInteger(), nullable=True),
        _column("stop_requested_ms", sa.BigInteger(), nullable=True),
        _column("charged_start_ms", sa.BigInteger(), nullable=True),
        _column("charged_end_ms", sa.BigInteger(), nullable=True),
        _column("change", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_runs_job_id"),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name="fk_runs_site_id"),
        sa.UniqueConstraint("job_id", "epoch", name="uq_runs_job_id_epoch"),
    )
    op.create_index("ix_runs_change", "runs", ["change"])
    op.create_index("ix_runs_site_id_change", "runs", ["site_id", "change"])
    op.create_index("ix_runs_site_id_phase", "runs", ["site_id", "phase"])
    live = sa.text("phase <> 'ended'")
    op.create_index("uq_runs_live_job_id", "runs", ["job_id"], unique=True, sqlite_where=live, postgresql_where=live)


def _create_accounts() -> None:
    op.create_table(
        "ledger",
        _column("id", ID),
        _column("run_id", sa.BigInteger()),
        _column("account_kind", sa.String(16)),
        _column("account_id", ID),
        _column("gpu_class", sa.String(31)),
        _column("gpu_milliseconds", sa.BigInteger()),
        _column("start_ms", sa.BigInteger()),
        _column("end_ms", sa.BigInteger()),
        _column("entered_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_ledger"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_ledger_run_id"),
    )
    op.create_index("ix_ledger_account_kind_account_id", "ledger", ["account_kind", "account_id"])
    op.create_index("ix_ledger_run_id", "ledger", ["run_id"])
    op.create_table(
        "events",
        _column("change", sa.BigInteger(), autoincrement=False),
        _column("part", sa.Integer(), autoincrement=False),
        _column("at_ms", sa.BigInteger()),
        _column("kind", sa.String(48)),
        _column("job_id", sa.BigInteger(), nullable=True),
        _column("group_id", ID, nullable=True),
        _column("site_id", ID, nullable=True),
        _column("actor", sa.String(128)),
        _column("why", sa.Text()),
        _column("data", sa.JSON()),
        sa.PrimaryKeyConstraint("change", "part", name="pk_events"),
    )
    op.create_index("ix_events_group_id_change", "events", ["group_id", "change"])
    op.create_index("ix_events_job_id_change", "events", ["job_id", "change"])
    op.create_index("ix_events_site_id_change", "events", ["site_id", "change"])


def _create_counters_and_contents() -> None:
    op.create_table(
        "counters",
        _column("name", sa.String(32)),
        _column("value", sa.BigInteger()),
        sa.PrimaryKeyConstraint("name", name="pk_counters"),
    )
    op.create_table(
        "leadership",
        _column("name", sa.String(32)),
        _column("holder", sa.String(128)),
        _column("fence", sa.BigInteger()),
        _column("expires_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("name", name="pk_leadership"),
    )
    op.create_table(
        "idempotency",
        _column("caller", sa.String(64)),
        _column("key", sa.String(255)),
        _column("request_hash", sa.String(64)),
        _column("status", sa.Integer()),
        _column("body", sa.Text()),
        _column("created_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("caller", "key", name="pk_idempotency"),
    )
    op.create_index("ix_idempotency_created_ms", "idempotency", ["created_ms"])
    op.create_table(
        "contents",
        _column("digest", sa.String(71)),
        _column("bytes", sa.BigInteger()),
        _column("created_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("digest", name="pk_contents"),
    )
    op.create_table(
        "content_parts",
        _column("digest", sa.String(71)),
        _column("part", sa.Integer(), autoincrement=False),
        _column("data", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("digest", "part", name="pk_content_parts"),
    )
    op.create_table(
        "content_grants",
        _column("digest", sa.String(71)),
        _column("person_id", ID),
        sa.PrimaryKeyConstraint("digest", "person_id", name="pk_content_grants"),
    )
    op.create_table(
        "log_parts",
        _column("run_id", sa.BigInteger(), autoincrement=False),
        _column("rank", sa.Integer(), autoincrement=False),
        _column("offset", sa.BigInteger(), autoincrement=False),
        _column("data", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("run_id", "rank", "offset", name="pk_log_parts"),
    )


def _seed() -> None:
    counters = sa.table("counters", sa.column("name"), sa.column("value"))
    op.bulk_insert(counters, [{"name": name, "value": value} for name, value in FIRST_COUNTS.items()])
    root: dict[str, object] = {
        "name": "federation",
        "path": "federation",
        "kind": "federation",
        "sector": "national",
        "data_class": "O",
        "output_bytes_max": 256 * 1024 * 1024,
        "example": False,
        "created_ms": time.time_ns() // 1_000_000,
        "change": FIRST_COUNTS["change"],
    }
    op.bulk_insert(sa.table("groups", *(sa.column(name) for name in root)), [root])
