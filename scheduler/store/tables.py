"""SQL tables, the same on SQLite and PostgreSQL.

Times are whole milliseconds since the epoch, UTC. Every table that the scheduling loop follows has a
``change`` column: the number that the transaction took from ``counters`` when it wrote the row. Numbers
appear in commit order, because the counter's row is locked until the commit, so a follower that has seen N
never misses one below it.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: SQLite only numbers rows by itself in a column declared INTEGER.
Id = BigInteger().with_variant(Integer(), "sqlite")

counters = Table(
    "counters",
    metadata,
    Column("name", String(32), primary_key=True),  # "change", "job", "run"
    Column("value", BigInteger, nullable=False),
)

leadership = Table(
    "leadership",
    metadata,
    Column("name", String(32), primary_key=True),  # "scheduler"
    Column("holder", String(128), nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
)

people = Table(
    "people",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", String(128), nullable=False, unique=True),
    Column("created_ms", BigInteger, nullable=False),
)

groups = Table(
    "groups",
    metadata,
    Column("id", Id, primary_key=True),
    Column("parent_id", Id, ForeignKey("groups.id"), nullable=True),  # NULL: the federation itself
    Column("name", String(63), nullable=False),
    Column("path", String(512), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),  # federation, sector, institution, project
    Column("sector", String(16), nullable=False),  # public, startup, research, national, partner; inherited
    Column(
        "trust_domain", String(128), nullable=True
    ),  # NULL: inherited; at the top of a branch: its institution's path
    Column("data_class", String(1), nullable=True),  # NULL: inherited; the federation's own is O
    Column("output_bytes_max", BigInteger, nullable=True),  # NULL: inherited
    Column(
        "job_order", String(16), nullable=True
    ),  # group_order.GroupOrder; NULL: inherited; the federation's own is fifo
    Column("example", Boolean, nullable=False, default=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("change", BigInteger, nullable=False, index=True),
)

quotas = Table(
    "quotas",
    metadata,
    Column("group_id", Id, ForeignKey("groups.id"), primary_key=True),
    Column("gpu_class", String(31), primary_key=True),
    Column("guaranteed", BigInteger, nullable=False, default=0),
    Column("limit", BigInteger, nullable=True),
    Column("borrowing_limit", BigInteger, nullable=True),
    Column("lending_limit", BigInteger, nullable=True),
    Column("weight", BigInteger, nullable=False, default=1),
    Column("change", BigInteger, nullable=False, index=True),  # also the row's ETag
    Column("cells", JSON(none_as_null=True), nullable=True),  # [[level, nodes, number], ...]; NULL: none
)

memberships = Table(
    "memberships",
    metadata,
    Column("person_id", Id, ForeignKey("people.id"), primary_key=True),
    Column("group_id", Id, ForeignKey("groups.id"), primary_key=True),
    Column(
        "role", String(16), primary_key=True
    ),  # viewer, submitter, manager; on the federation also administrator, auditor
    Column("change", BigInteger, nullable=False, index=True),
)

operators = Table(
    "operators",
    metadata,
    Column("person_id", Id, ForeignKey("people.id"), primary_key=True),
    Column("site_id", Id, ForeignKey("sites.id"), primary_key=True),
    Column("change", BigInteger, nullable=False, index=True),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Id, primary_key=True),
    Column("person_id", Id, ForeignKey("people.id"), nullable=False, index=True),
    Column("name", String(128), nullable=False),
    Column("prefix", String(16), nullable=False),  # shown in lists, so that a token can be told from others
    Column("hash", String(64), nullable=False, unique=True),  # SHA-256 of a secret of 256 random bits
    Column("scopes", JSON, nullable=False),  # list of read, submit, manage
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=True),
    Column("revoked_ms", BigInteger, nullable=True),
)

gpu_classes = Table(
    "gpu_classes",
    metadata,
    Column("name", String(31), primary_key=True),
    Column("valid_from_ms", BigInteger, primary_key=True),
    Column("credit_numerator", BigInteger, nullable=False),  # credits of one GPU-hour, as a fraction
    Column("credit_denominator", BigInteger, nullable=False),
    Column("change", BigInteger, nullable=False, index=True),
)

sites = Table(
    "sites",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", String(63), nullable=False, unique=True),
    Column("owner", String(128), nullable=False),
    Column("operator", String(128), nullable=False),
    Column("facility", String(128), nullable=False),
    Column("csap", String(8), nullable=False),
    Column("state_facility", Boolean, nullable=False),
    Column("classified_network", Boolean, nullable=False),
    Column("isolates_users", Boolean, nullable=False),
    Column("trust_domain", String(128), nullable=True),
    Column("supervised", Boolean, nullable=False),
    Column("lease_seconds", Integer, nullable=False),
    Column("state", String(16), nullable=False),  # site.SiteState
    Column("state_reason", Text, nullable=False, default=""),
    Column("block_nodes", JSON(none_as_null=True), nullable=True),  # by GPU class; NULL: none
    Column("enrolment_hash", String(64), nullable=True, unique=True),
    Column("enrolment_expires_ms", BigInteger, nullable=True),
    Column("credential_hash", String(64), nullable=True, unique=True),
    Column("agent", String(253), nullable=True),
    Column("heard_ms", BigInteger, nullable=True),  # last sync; written at most once a few seconds
    Column("heard_sequence", BigInteger, nullable=True),  # highest of the agent's requests that was written down
    Column("created_ms", BigInteger, nullable=False),
    Column("change", BigInteger, nullable=False, index=True),
)

nodes = Table(
    "nodes",
    metadata,
    Column("id", Id, primary_key=True),
    Column("site_id", Id, ForeignKey("sites.id"), nullable=False),
    Column("name", String(253), nullable=False),
    Column("pool", String(253), nullable=False),
    Column("gpu_class", String(31), nullable=False),
    Column("gpus", Integer, nullable=False),
    Column("cpus", Integer, nullable=False),
    Column("memory_mib", BigInteger, nullable=False),
    Column("domain", JSON, nullable=False),
    Column("healthy", Boolean, nullable=False),
    Column("removed", Boolean, nullable=False, default=False),
    Column("aside_ms", BigInteger, nullable=True),  # set aside since then: nothing starts there, whatever is reported
    Column("aside_by", String(128), nullable=True),  # a person, or "scheduler"
    Column("aside_reason", JSON(none_as_null=True), nullable=True),  # {code, numbers}
    Column("trusted_ms", BigInteger, nullable=True),  # returned then: earlier failures count no more
    Column("change", BigInteger, nullable=False, index=True),
    UniqueConstraint("site_id", "name"),
)

node_failures = Table(
    "node_failures",
    metadata,
    # Ends of runs that speak against a node; old ones are dropped.
    Column("node_id", Id, ForeignKey("nodes.id"), primary_key=True),
    Column("run_id", BigInteger, ForeignKey("runs.id"), primary_key=True),
    Column("person_id", Id, nullable=False),
    Column("at_ms", BigInteger, nullable=False, index=True),
    Column("cause", String(32), nullable=False),  # job_state.EndCause
    Column("suspects", Integer, nullable=False),  # among so many the one failure is shared
)

offers = Table(
    "offers",
    metadata,
    Column("id", Id, primary_key=True),
    Column("site_id", Id, ForeignKey("sites.id"), nullable=False, index=True),
    Column("group_id", Id, ForeignKey("groups.id"), nullable=True),  # the lender's own
    Column("terms", Text, nullable=False),  # offer.OfferSpec as JSON
    Column("closes_ms", BigInteger, nullable=True),  # from then on it lends nothing
    Column("created_ms", BigInteger, nullable=False),
    Column("created_by", String(128), nullable=False),
    Column("change", BigInteger, nullable=False, index=True),
)

recalls = Table(
    "recalls",
    metadata,
    Column("id", Id, primary_key=True),
    Column("site_id", Id, ForeignKey("sites.id"), nullable=False, index=True),
    Column("gpu_class", String(31), nullable=False),
    Column("nodes", Integer, nullable=False),
    Column("node_ids", JSON, nullable=False),  # chosen when it was asked for
    Column("asked_ms", BigInteger, nullable=False),
    Column("by_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=True),  # lent again from then on; NULL: when it is withdrawn
    Column("withdrawn_ms", BigInteger, nullable=True),
    Column("created_by", String(128), nullable=False),
    Column("change", BigInteger, nullable=False, index=True),
)

reservations = Table(
    "reservations",
    metadata,
    Column("id", Id, primary_key=True),
    Column("site_id", Id, ForeignKey("sites.id"), nullable=False, index=True),
    Column("gpu_class", String(31), nullable=True),  # NULL: nodes were named, whatever their class
    Column("node_ids", JSON, nullable=False),
    Column("from_ms", BigInteger, nullable=False),
    Column("to_ms", BigInteger, nullable=True),  # NULL: until it is withdrawn
    Column("reason", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("withdrawn_ms", BigInteger, nullable=True),
    Column("created_by", String(128), nullable=False),
    Column("change", BigInteger, nullable=False, index=True),
    Column("group_id", BigInteger, nullable=True),  # who may run there; NULL: nobody
)

shapes = Table(
    "shapes",
    metadata,
    Column("id", Id, primary_key=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("request", JSON, nullable=False),  # the fields of shape.Shape
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("group_id", Id, ForeignKey("groups.id"), nullable=False),
    Column("person_id", Id, ForeignKey("people.id"), nullable=False),
    Column("name", String(128), nullable=False),
    Column("state", String(16), nullable=False),  # job_state.JobState
    Column("shape_id", Id, ForeignKey("shapes.id"), nullable=False),
    Column("gpus", Integer, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("spec", Text, nullable=False),  # the job file as JSON
    Column("submitted_ms", BigInteger, nullable=False),
    Column("epoch", Integer, nullable=False, default=0),  # of the newest run; only grows
    Column("run_id", BigInteger, nullable=True),  # the newest run
    Column("site_id", Id, nullable=True),  # of the newest run
    Column("bound_site_id", Id, nullable=True),  # holds its checkpoint
    Column("cancel_requested", Boolean, nullable=False, default=False),
    Column("requeue_requested", Boolean, nullable=False, default=False),
    Column("failures", Integer, nullable=False, default=0),  # runs that ended by the job's own fault
    Column("infrastructure_failures", Integer, nullable=False, default=0),  # in a row
    Column("not_before_ms", BigInteger, nullable=True),  # queued after failed runs: not placed again before then
    Column("retries", Integer, nullable=False, default=0),
    Column("memory_failures", Integer, nullable=False, server_default=text("0")),  # where retries are its own
    Column("walltime_failures", Integer, nullable=False, server_default=text("0")),
    Column("alike_failures", Integer, nullable=False, server_default=text("0")),  # in a row, at once, with that code:
    Column("alike_exit_code", Integer, nullable=True),
    Column("start_by_ms", BigInteger, nullable=True),  # what starts later is not over by the job's deadline
    Column("started_ms", BigInteger, nullable=True),  # of the newest run
    Column("ended_ms", BigInteger, nullable=True),  # set in a terminal state
    Column("exit_code", Integer, nullable=True),
    Column("reason", JSON, nullable=True),  # {code, numbers}: how it ended, or why it does not move
    Column("outputs", String(71), nullable=True),  # digest of the collected archive
    Column("earmark", JSON(none_as_null=True), nullable=True),  # nodes held for it: service.earmark.Held
    Column("refusals", JSON(none_as_null=True), nullable=True),  # sites not to ask: service.refused_job
    Column("walltime_ms", BigInteger, nullable=True),  # a run of it is ended after so long
    Column("save_ms", BigInteger, nullable=True),  # what it needs to save its state; NULL: it begins anew
    Column("awaits", Boolean, nullable=False, server_default=false()),  # other jobs first: rows of dependencies
    Column("array_id", BigInteger, nullable=True),  # of the job numbers; no job has it
    Column("array_task", Integer, nullable=True),
    Column("array_tasks", Integer, nullable=True),  # how many the array has
    Column("array_running_max", Integer, nullable=True),  # so many of the array run at once
    # When it began to wait or to run: how long it takes in all; NULL: nothing like it had succeeded. And what it had had of that.
    Column("predicted_ms", BigInteger, nullable=True),
    Column("predicted_from", String(8), nullable=True),  # by whose like jobs: prediction.Scope
    Column("class_basis", String(8), nullable=True),  # how these tell of its GPU class: run_time.ClassBasis
    Column("served_ms", BigInteger, nullable=False, server_default=text("0")),  # by runs that saved their state
    Column("change", BigInteger, nullable=False),
    Index("ix_jobs_change", "change"),
    Index("ix_jobs_group_id_state", "group_id", "state"),
    Index("ix_jobs_person_id_id", "person_id", "id"),
    Index("ix_jobs_state_change", "state", "change"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("job_id", BigInteger, ForeignKey("jobs.id"), nullable=False),
    Column("group_id", Id, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("site_id", Id, ForeignKey("sites.id"), nullable=False),
    Column("gpu_class", String(31), nullable=False),
    Column("gpus", Integer, nullable=False),
    Column("cpus_per_worker", Integer, nullable=False),
    Column("memory_mib_per_worker", BigInteger, nullable=False),
    Column("gpus_per_worker", Integer, nullable=False),
    Column("gang", JSON, nullable=False),  # [[node_id, node_name, first_rank, workers], ...]
    Column("phase", String(16), nullable=False),  # job_state.RunPhase
    Column("leased_ms", BigInteger, nullable=False),
    Column("started_ms", BigInteger, nullable=True),
    Column("ended_ms", BigInteger, nullable=True),
    Column("exit_code", Integer, nullable=True),
    Column("cause", String(32), nullable=True),  # job_state.EndCause
    Column("message", Text, nullable=False, default=""),
    Column("stop_cause", String(32), nullable=True),
    Column("stop_grace_ms", BigInteger, nullable=True),
    Column("stop_requested_ms", BigInteger, nullable=True),
    Column("charged_start_ms", BigInteger, nullable=True),  # the interval that the ledger holds now
    Column("charged_end_ms", BigInteger, nullable=True),
    Column("charged_lost_from_ms", BigInteger, nullable=True),  # from then on charged to lost work
    Column("preemptible", Boolean, nullable=False, server_default=true()),
    Column("priority", Integer, nullable=False, server_default=text("0")),
    Column("grace_ms", BigInteger, nullable=False, server_default=text("0")),  # between a stop's signal and its end
    Column("checkpoints", Boolean, nullable=False, server_default=false()),  # writes a checkpoint on the signal
    Column("stop_preemptor", BigInteger, nullable=True),  # the job that it makes room for
    # What its job is when it waits again, and when the run is over at the latest.
    Column("shape_id", Id, nullable=True),  # NULL: not known any more
    Column("submitted_ms", BigInteger, nullable=True),
    Column("walltime_ms", BigInteger, nullable=True),
    Column("return_site_id", Id, nullable=True),  # where the job is bound to once the run has written its checkpoint
    Column("predicted_ms", BigInteger, nullable=True),  # as its job had it when it began
    Column("served_ms", BigInteger, nullable=False, server_default=text("0")),
    Column("change", BigInteger, nullable=False),
    Column(
        "lender_rates", JSON(none_as_null=True), nullable=True
    ),  # [[GPUs, "credits an hour" or null], ...]; NULL: the table's
    UniqueConstraint("job_id", "epoch"),
    Index("ix_runs_change", "change"),
    Index("ix_runs_site_id_phase", "site_id", "phase"),
    Index("ix_runs_site_id_change", "site_id", "change"),
)

run_times = Table(
    "run_times",
    metadata,
    # How long the last jobs of a kind ran that succeeded: prediction.Like.
    Column("scope", String(8), primary_key=True),
    Column("owner_id", BigInteger, primary_key=True, autoincrement=False),
    Column("gpus", Integer, primary_key=True, autoincrement=False),
    Column("gpu_class", String(31), primary_key=True),  # empty: whatever class it was
    Column("last_ms", BigInteger, nullable=False),
    Column("before_ms", BigInteger, nullable=True),
    Column("change", BigInteger, nullable=False, index=True),
)

dependencies = Table(
    "dependencies",
    metadata,
    # What is still to come before a job starts; a row is gone once it has.
    Column("waiter_id", BigInteger, primary_key=True, autoincrement=False),  # a job, or an array: all its tasks
    Column("on_id", BigInteger, primary_key=True, autoincrement=False),  # a job, or an array: all its tasks
    Column("condition", String(16), primary_key=True),  # dependency.Condition
)

events = Table(
    "events",
    metadata,
    Column("change", BigInteger, primary_key=True, autoincrement=False),  # the SSE id; several rows of one
    Column("part", Integer, primary_key=True, autoincrement=False),  # transaction differ in ``part``
    Column("at_ms", BigInteger, nullable=False),
    Column("kind", String(48), nullable=False),  # job.submitted, job.state, quota.set, member.added, site.cordoned, ...
    Column("job_id", BigInteger, nullable=True),
    Column("group_id", Id, nullable=True),
    Column("site_id", Id, nullable=True),
    Column("actor", String(128), nullable=False),  # a person, "scheduler", or "agent:SITE"
    Column("why", Text, nullable=False, default=""),
    Column("data", JSON, nullable=False),
    Index("ix_events_job_id_change", "job_id", "change"),
    Index("ix_events_group_id_change", "group_id", "change"),
    Index("ix_events_site_id_change", "site_id", "change"),
)

ledger = Table(
    "ledger",
    metadata,
    Column("id", Id, primary_key=True),
    Column("run_id", BigInteger, ForeignKey("runs.id"), nullable=False, index=True),
    Column("account_kind", String(16), nullable=False),  # consumer, lost (of a group) or provider (a site)
    Column("account_id", Id, nullable=False),
    Column("gpu_class", String(31), nullable=False),
    Column("gpu_milliseconds", BigInteger, nullable=False),  # debit positive, credit negative; a run's sum is zero
    Column("start_ms", BigInteger, nullable=False),
    Column("end_ms", BigInteger, nullable=False),
    Column("entered_ms", BigInteger, nullable=False),
    Index("ix_ledger_account_kind_account_id", "account_kind", "account_id"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("caller", String(64), primary_key=True),  # person id or site name, with the route
    Column("key", String(255), primary_key=True),
    Column("request_hash", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False, index=True),
)

#: Few jobs are tasks of an array: the others cost this nothing.
Index(
    "ix_jobs_array_id",
    jobs.c.array_id,
    sqlite_where=text("array_id IS NOT NULL"),
    postgresql_where=text("array_id IS NOT NULL"),
)

#: Few nodes are set aside.
Index(
    "ix_nodes_aside_ms",
    nodes.c.aside_ms,
    sqlite_where=text("aside_ms IS NOT NULL"),
    postgresql_where=text("aside_ms IS NOT NULL"),
)

#: Few jobs have a deadline, and of these only the waiting ones matter.
Index(
    "ix_jobs_start_by_ms",
    jobs.c.start_by_ms,
    sqlite_where=text("start_by_ms IS NOT NULL AND state IN ('queued', 'held')"),
    postgresql_where=text("start_by_ms IS NOT NULL AND state IN ('queued', 'held')"),
)

#: At most one live run a job (law 6), held by the database itself.
Index(
    "uq_runs_live_job_id",
    runs.c.job_id,
    unique=True,
    sqlite_where=text("phase <> 'ended'"),
    postgresql_where=text("phase <> 'ended'"),
)
