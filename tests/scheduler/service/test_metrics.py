"""What monitoring is told of the federation."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY, CollectorRegistry
from runtime import Stage, ended, runs_now

from scheduler.service import metrics
from scheduler.service.certificate_keeper import keep_certificate
from scheduler.service.metrics import FederationMetrics
from scheduler.store import groups, quotas
from scheduler.store.groups import NewGroup


def told(stage: Stage, name: str, **labels: str) -> float | None:
    """The value of one series now; None where there is none."""
    registry = CollectorRegistry()
    registry.register(FederationMetrics(stage.runtime))
    return registry.get_sample_value(name, labels)


def set_quota(stage: Stage, group: int, limit: int | None, guaranteed: int = 0) -> None:
    """Write a group's quota of h100."""
    values = {"borrowing_limit": None, "lending_limit": None, "weight": 1}
    stage.runtime.database.run(
        lambda transaction: quotas.put(
            transaction, group_id=group, gpu_class="h100", guaranteed=guaranteed, limit=limit, **values
        )
    )


def test_waiting_jobs_are_counted_by_their_reason(stage: Stage) -> None:
    stage.agent()
    group = stage.group()
    set_quota(stage, group, limit=6)
    stage.submit(group, 6)
    stage.turn()
    stage.submit(group, 3)
    stage.submit(group, 2, preemptible=False)
    assert told(stage, "dure_jobs", state="leased") == 6
    assert told(stage, "dure_pending_jobs", reason="WaitingForQuota") == 3
    assert told(stage, "dure_pending_jobs", reason="WaitingForGuarantee") == 2
    assert told(stage, "dure_pending_jobs", reason="other") is None


def test_jobs_of_classes_too_many_to_explain_are_counted_as_other(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "CLASSES_EXPLAINED_MAX", 1)
    stage.agent()
    group = stage.group()
    stage.submit(group, 8)
    stage.turn()
    stage.submit(group, 2, gpus_per_worker=2)
    stage.submit(group, 5)
    assert told(stage, "dure_pending_jobs", reason="WaitingForCapacity") == 5
    assert told(stage, "dure_pending_jobs", reason="other") == 2


def test_quotas_and_their_use_are_told_with_all_that_is_used_below(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.agent()
    sector = stage.group()
    new = NewGroup(parent_id=sector, name="lab", path="research.lab", kind="institution", sector="research")
    lab = stage.runtime.database.run(lambda transaction: groups.add(transaction, new)).id
    stage.runtime.directories.forget()
    set_quota(stage, sector, limit=8, guaranteed=4)
    set_quota(stage, lab, limit=None)
    stage.submit(lab, 3)
    stage.turn()
    assert told(stage, "dure_quota_used_gpus", group="research", gpu_class="h100") == 3
    assert told(stage, "dure_quota_limit_gpus", group="research", gpu_class="h100") == 8
    assert told(stage, "dure_quota_guaranteed_gpus", group="research", gpu_class="h100") == 4
    assert told(stage, "dure_quota_used_gpus", group="research.lab", gpu_class="h100") == 3
    assert told(stage, "dure_quota_limit_gpus", group="research.lab", gpu_class="h100") is None
    assert told(stage, "dure_quota_series_left_out") == 0
    monkeypatch.setattr(metrics, "QUOTA_SERIES_MAX", 1)
    assert told(stage, "dure_quota_used_gpus", group="research", gpu_class="h100") == 3
    assert told(stage, "dure_quota_used_gpus", group="research.lab", gpu_class="h100") is None
    assert told(stage, "dure_quota_series_left_out") == 1


def test_it_is_told_how_long_ago_a_site_was_heard(stage: Stage) -> None:
    stage.agent("site-1")
    stage.clock.advance(42)
    assert told(stage, "dure_site_heartbeat_age_seconds", site="site-1") == 42


def test_the_time_from_submission_to_the_first_lease_is_counted_once_a_job(stage: Stage) -> None:
    def waits() -> tuple[float, float]:
        name = "dure_admission_wait_seconds"
        count, total = (REGISTRY.get_sample_value(f"{name}_{part}") or 0.0 for part in ("count", "sum"))
        return count, total

    agent, before = stage.agent(), waits()
    (job,) = stage.submit(stage.group(), retries=1)
    stage.clock.advance(90)
    agent.sync()
    stage.turn()
    count, total = waits()
    assert (count - before[0], round(total - before[1])) == (1, 90)
    now_ms = stage.clock.now_ms()
    agent.sync(runs_now(stage.run(job), now_ms))
    agent.sync(ended(stage.run(job), now_ms, now_ms + 1, exit_code=1))
    stage.turn()
    assert len(stage.runs(job)) == 2
    assert waits() == (count, total)


def test_the_certificate_is_told_once_there_is_one(stage: Stage) -> None:
    agent, names = stage.agent(), ("dure_mean_completion_seconds", "dure_mean_completion_lower_bound_seconds")
    assert told(stage, "dure_certificate_age_seconds") is None
    (job,) = stage.submit(stage.group(), gpus_per_worker=8)
    stage.turn()
    began_ms = stage.clock.now_ms()
    agent.sync(runs_now(stage.run(job), began_ms))
    stage.clock.advance(60)
    agent.sync(ended(stage.run(job), began_ms, stage.clock.now_ms()))
    stage.follower.catch_up()
    keep_certificate(stage.runtime, stage.follower.federation.snapshot(), stage.fence)
    stage.clock.advance(5)
    assert told(stage, "dure_certificate_age_seconds") == 5
    assert [told(stage, name) for name in names] == pytest.approx([60.0, 60.0])
    assert told(stage, "dure_shadow_price_hours", site="site-1", gpu_class="h100") == 0.0
