"""What the federation is like now, as Prometheus metrics: read when they are asked for, bounded in number."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from scheduler.cycle.use import used_by_group
from scheduler.model.ids import GroupId
from scheduler.service.certificate import show_certificate
from scheduler.service.runtime import Runtime
from scheduler.store import jobs, nodes, quotas, sites

#: Classes of waiting jobs whose reasons are worked out at each question; the jobs of the others are counted as ``other``.
CLASSES_EXPLAINED_MAX = 64
#: Pairs of group and GPU class; those of groups further up the tree come first.
QUOTA_SERIES_MAX = 500
OTHER = "other"


class FederationMetrics(Collector):
    """Jobs by state, waiting jobs by reason, quotas and their use, sites' silence and bad nodes, the certificate, the writer's
    queue."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def collect(self) -> Iterator[Metric]:
        """Read everything anew. Raises StoreUnavailable."""
        yield from self._jobs()
        yield from self._quotas()
        yield from self._sites()
        yield from self._certificate()
        waiting = GaugeMetricFamily("dure_writer_waiting_rows", "Rows that wait for the next commit.")
        waiting.add_metric([], self._runtime.writer.waiting_weight())
        yield waiting

    def _jobs(self) -> Iterator[Metric]:
        with self._runtime.database.read() as connection:
            counts = jobs.counts_by_state(connection)
        by_state = GaugeMetricFamily("dure_jobs", "Jobs by state.", labels=["state"])
        for state, count in sorted(counts.items()):
            by_state.add_metric([state], count)
        yield by_state
        pending = GaugeMetricFamily("dure_pending_jobs", "Jobs in the queue by why they wait.", labels=["reason"])
        for reason, count in self._runtime.world.waiting_by_reason(CLASSES_EXPLAINED_MAX).items():
            pending.add_metric([OTHER if reason is None else reason.value], count)
        yield pending

    def _quotas(self) -> Iterator[Metric]:
        runtime = self._runtime
        directory, used = runtime.directories.newest(), used_by_group(runtime.world.snapshot())
        with runtime.database.read() as connection:
            rows = [row for row in quotas.every(connection) if row.group_id in directory.by_id]
        rows.sort(key=lambda row: (len(directory.by_id[row.group_id].ancestors), row.group_id, row.gpu_class))
        labels = ["group", "gpu_class"]
        in_use = GaugeMetricFamily("dure_quota_used_gpus", "GPUs in use by a group that has a quota.", labels=labels)
        limit = GaugeMetricFamily("dure_quota_limit_gpus", "A group's limit, where it has one.", labels=labels)
        guaranteed = GaugeMetricFamily("dure_quota_guaranteed_gpus", "A group's guarantee as set.", labels=labels)
        for row in rows[:QUOTA_SERIES_MAX]:
            series = [directory.by_id[row.group_id].path, row.gpu_class]
            in_use.add_metric(series, used.get((GroupId(row.group_id), row.gpu_class), 0))
            guaranteed.add_metric(series, row.guaranteed)
            if row.limit is not None:
                limit.add_metric(series, row.limit)
        yield from (in_use, limit, guaranteed)
        left_out = GaugeMetricFamily("dure_quota_series_left_out", "Quotas above the number that is told.")
        left_out.add_metric([], max(0, len(rows) - QUOTA_SERIES_MAX))
        yield left_out

    def _sites(self) -> Iterator[Metric]:
        now_ms = self._runtime.clock.now_ms()
        with self._runtime.database.read() as connection:
            rows, aside = sites.every(connection), nodes.aside_by_site(connection)
        age = GaugeMetricFamily(
            "dure_site_heartbeat_age_seconds", "Time since a site's agent was heard.", labels=["site"]
        )
        for row in rows:
            if row.heard_ms is not None:
                age.add_metric([row.name], max(0, now_ms - row.heard_ms) / 1000)
        yield age
        set_aside = GaugeMetricFamily(
            "dure_site_nodes_set_aside", "Nodes of a site that are set aside for what failed on them.", labels=["site"]
        )
        for row in rows:
            set_aside.add_metric([row.name], aside.get(row.id, 0))
        yield set_aside

    def _certificate(self) -> Iterator[Metric]:
        """Nothing of what is not known."""
        certified = show_certificate(self._runtime).certified
        if certified is None:
            return
        age = GaugeMetricFamily("dure_certificate_age_seconds", "Time since the certificate was made.")
        age.add_metric([], max(0, self._runtime.clock.now_ms() - certified.made_ms) / 1000)
        yield age
        if certified.record is not None:
            told = (
                ("dure_mean_completion_seconds", certified.record.mean_completion_seconds),
                ("dure_mean_completion_lower_bound_seconds", certified.record.mean_completion_lower_bound_seconds),
            )
            for name, seconds in told:
                mean = GaugeMetricFamily(
                    name, "Of jobs that succeeded lately: as it was, and at the least in any schedule."
                )
                mean.add_metric([], seconds)
                yield mean
        price = GaugeMetricFamily(
            "dure_shadow_price_hours", "Waiting that one more GPU-hour now would save.", labels=["site", "gpu_class"]
        )
        for each in certified.prices or ():
            price.add_metric([each.site, each.gpu_class], each.hours_saved)
        yield price
