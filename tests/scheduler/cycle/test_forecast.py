"""Forecasts: when jobs would start, proven by going through time tick by tick; what is not known has its reason."""

from __future__ import annotations

from dataclasses import replace

from example_count import examples
from federations import OPEN_SITE, Facts, build, node_of, plain_shape
from hypothesis import given, settings
from hypothesis import strategies as st
from lendings import HOUR_MS, offer_of
from pressed import NOW_MS, Pressed, federation_of
from timed import SLOW_CLASS, TICK_MS, Replay, left_by_class, timed, timed_on_two

from quota.tree import Quota
from scheduler.cycle.decide import decide
from scheduler.cycle.facts import LiveRun, WaitingJob
from scheduler.cycle.forecast import Forecast, ForecastLimits, left_on_any
from scheduler.model.calendar import Calendar
from scheduler.model.ids import GroupId, JobId, NodeId, RunId, ShapeId, SiteId
from scheduler.model.reason import ReasonCode
from scheduler.model.shape import DataClass, Shape, Topology
from scheduler.model.site import Node
from scheduler.model.site_refusal import SiteRefusal

#: A day in November, noon UTC.
NOON_MS = 1_793_620_800_000
BASES = {
    ReasonCode.ETA_NEXT_ROUND,
    ReasonCode.ETA_BY_WALLTIMES,
    ReasonCode.ETA_BY_PREDICTIONS,
    ReasonCode.ETA_BY_REFUSAL,
}
UNKNOWN = {
    ReasonCode.ETA_BEYOND_FORECAST,
    ReasonCode.ETA_WITHOUT_WALLTIME,
    ReasonCode.ETA_NOT_AS_THINGS_ARE,
    ReasonCode.ETA_TOO_MANY_WAITING,
}


@given(timed(), st.integers(1, 6))
def test_every_waiting_job_has_a_start_that_is_not_past_or_a_reason_why_none_is_known(
    facts: Pressed, steps_max: int
) -> None:
    forecast = Forecast(federation_of(facts), ForecastLimits(steps_max=steps_max))
    for job in facts.jobs:
        eta = forecast.of(job.id)
        assert eta is not None
        if eta.start_ms is None:
            assert eta.code in UNKNOWN
        else:
            assert eta.start_ms >= NOW_MS
            assert eta.code in BASES
    assert forecast.steps <= steps_max


@given(timed())
def test_what_the_next_rounds_start_at_once_has_its_estimate_now(facts: Pressed) -> None:
    federation = federation_of(facts)
    federation.lend(NOW_MS)
    started = {start.job for start in decide(federation.snapshot(), 0).starts}
    forecast = Forecast(federation)
    by_now = {
        job.id
        for job in facts.jobs
        if (eta := forecast.of(job.id)) is not None and eta.code is ReasonCode.ETA_NEXT_ROUND
    }
    replay = Replay(facts)
    replay.go(NOW_MS)
    assert started <= by_now <= replay.starts.keys()
    for job in started:
        told = forecast.of(job)
        assert told is not None
        assert told.start_ms == NOW_MS


@settings(max_examples=examples(60))
@given(timed() | timed_on_two())
def test_when_every_run_ends_as_told_on_its_class_and_nothing_new_comes_jobs_start_exactly_as_estimated(
    facts: Pressed,
) -> None:
    forecast = Forecast(federation_of(facts), left_on=left_by_class)
    told = {job.id: eta.start_ms for job in facts.jobs if (eta := forecast.of(job.id)) is not None}
    last_ms = max((at_ms for at_ms in told.values() if at_ms is not None), default=NOW_MS)
    replay = Replay(facts, left_by_class)
    replay.go(last_ms + 10 * TICK_MS)
    assert {job: replay.starts.get(job) for job in told} == told


@given(timed(endless=False))
def test_where_everything_ends_only_what_could_never_start_is_left_without_a_time(facts: Pressed) -> None:
    forecast = Forecast(federation_of(facts))
    for job in facts.jobs:
        eta = forecast.of(job.id)
        assert eta is not None
        alone = federation_of(replace(facts, runs=(), jobs=(job,)))
        if eta.start_ms is None:
            assert eta.code is ReasonCode.ETA_NOT_AS_THINGS_ARE
            assert not len(decide(alone.snapshot(), 0).starts)


@given(timed())
def test_a_forecast_leaves_the_federation_as_it_was(facts: Pressed) -> None:
    federation = federation_of(facts)
    before = decide(federation.snapshot(), 0)
    runs = federation.live_runs
    forecast = Forecast(federation)
    for job in facts.jobs:
        forecast.of(job.id)
    assert decide(federation.snapshot(), 0) == before
    assert federation.live_runs == runs


def _one_node(*runs: LiveRun, jobs: tuple[WaitingJob, ...], limit: int | None = None) -> Pressed:
    """Two GPUs on one node, of which jobs and runs ask for one or for all."""
    node = Node(
        id=NodeId(1), site_id=SiteId(1), name="node-1", pool="pool", gpu_class="h100", gpus=2, cpus=64, memory_mib=64,
        domain=("a", "b", "leaf"), healthy=True,
    )  # fmt: skip
    shapes = {ShapeId(gpus): _shape(gpus) for gpus in (1, 2)}
    quotas = {} if limit is None else {(GroupId(4), "h100"): Quota(limit=limit)}
    return Pressed(quotas, (node,), shapes, runs, jobs)


def _shape(gpus: int) -> Shape:
    return Shape(
        workers=1, gpus_per_worker=gpus, cpus_per_worker=1, memory_mib_per_worker=1, gpu_classes=("h100",),
        topology=Topology.ANY, data_class=DataClass.OPEN, preemptible=True,
    )  # fmt: skip


def _run(number: int, end_ms: int | None) -> LiveRun:
    return LiveRun(
        id=RunId(number), job=JobId(number), group=GroupId(4), site=SiteId(1), gpu_class="h100", gpus_per_worker=1,
        cpus_per_worker=1, memory_mib_per_worker=1, gang=((NodeId(1), 1),), expected_end_ms=end_ms,
    )  # fmt: skip


def _job(number: int, gpus: int, walltime_ms: int | None = 5_000) -> WaitingJob:
    return WaitingJob(
        id=JobId(number), group=GroupId(4), shape=ShapeId(gpus), priority=0, submitted_ms=number,
        walltime_ms=walltime_ms,
    )  # fmt: skip


def _eta(facts: Pressed, job: int, limits: ForecastLimits | None = None) -> tuple[int | None, ReasonCode, object]:
    eta = Forecast(federation_of(facts), limits or ForecastLimits()).of(JobId(job))
    assert eta is not None
    return eta.start_ms, eta.code, dict(eta.numbers)


def test_a_job_waits_for_those_ahead_of_it_as_well_as_for_runs() -> None:
    facts = _one_node(_run(1, NOW_MS + 10), _run(2, NOW_MS + 30), jobs=(_job(11, 2), _job(12, 2)))
    assert _eta(facts, 11) == (NOW_MS + 30, ReasonCode.ETA_BY_WALLTIMES, {"runs": 2})
    assert _eta(facts, 12) == (NOW_MS + 30 + 5_000, ReasonCode.ETA_BY_WALLTIMES, {"runs": 3})


def test_a_window_that_opens_is_when_a_job_starts_and_one_that_is_too_short_for_it_is_none() -> None:
    night = Calendar.model_validate({"time_zone": "UTC", "windows": [{"from": "20:00", "to": "08:00"}]})
    opens_ms = NOON_MS + 8 * HOUR_MS
    expected = ((12 * HOUR_MS, (opens_ms, ReasonCode.ETA_BY_LENDING)), (None, (None, ReasonCode.ETA_NOT_AS_THINGS_ARE)))
    for walltime_ms, told in expected:
        job = WaitingJob(
            id=JobId(1), group=GroupId(4), shape=ShapeId(1), priority=0, submitted_ms=0, walltime_ms=walltime_ms
        )
        federation = build(Facts({}, (OPEN_SITE,), (node_of(1, 8),), {ShapeId(1): plain_shape(8)}, (job,)))
        federation.set_lending([offer_of(calendar=night)], [], [])
        federation.lend(NOON_MS)
        eta = Forecast(federation).of(job.id)
        assert eta is not None
        assert (eta.start_ms, eta.code) == told


def test_a_site_that_refused_a_job_takes_it_when_it_is_asked_again() -> None:
    refusal = SiteRefusal(site=SiteId(1), times=1, until_ms=NOW_MS + 60_000)
    refused = replace(_job(11, 2), refusals=(refusal,))
    assert _eta(_one_node(jobs=(refused,)), 11) == (NOW_MS + 60_000, ReasonCode.ETA_BY_REFUSAL, {})
    assert _eta(_one_node(jobs=(refused, _job(12, 2, 90_000))), 11)[:2] == (
        NOW_MS + 90_000,
        ReasonCode.ETA_BY_WALLTIMES,
    )
    assert _eta(_one_node(jobs=(refused,)), 11, ForecastLimits(horizon_ms=1))[1] is ReasonCode.ETA_BEYOND_FORECAST


def test_a_run_that_should_be_over_is_taken_to_end_now() -> None:
    facts = _one_node(_run(1, NOW_MS - 500), jobs=(_job(11, 2),))
    assert _eta(facts, 11) == (NOW_MS, ReasonCode.ETA_BY_WALLTIMES, {"runs": 1})


def test_runs_of_which_like_ones_are_known_end_as_those_did_and_are_counted_apart() -> None:
    like = replace(_run(1, NOW_MS + 90_000), started_ms=NOW_MS - 1_000, predicted_ms=5_000)
    unlike = _run(2, NOW_MS + 3_000)
    facts = _one_node(like, unlike, jobs=(replace(_job(11, 2), expected_ms=700), _job(12, 2)))
    both = {"runs": 2, "predicted": 1}
    assert _eta(facts, 11) == (NOW_MS + 4_000, ReasonCode.ETA_BY_PREDICTIONS, both)
    assert _eta(facts, 12) == (NOW_MS + 4_700, ReasonCode.ETA_BY_PREDICTIONS, {"runs": 3, "predicted": 2})


def test_a_job_that_starts_ends_as_it_would_on_the_class_on_which_it_does() -> None:
    facts = _one_node(_run(1, NOW_MS + 9_000), _run(2, NOW_MS + 9_000), jobs=(_job(11, 2), _job(12, 2), _job(13, 2)))
    beside = replace(facts.nodes[0], id=NodeId(2), name="slow", gpu_class=SLOW_CLASS)
    shapes = {number: replace(each, gpu_classes=("h100", SLOW_CLASS)) for number, each in facts.shapes.items()}
    jobs = tuple(replace(job, expected_ms=1_000) for job in facts.jobs)
    federation = federation_of(replace(facts, nodes=(*facts.nodes, beside), shapes=shapes, jobs=jobs))
    for left_on, second_ms in ((left_by_class, 3_000), (left_on_any, 1_000)):
        told = [Forecast(federation, left_on=left_on).of(job.id) for job in jobs]
        starts_ms = [None if each is None else each.start_ms for each in told]
        assert starts_ms == [NOW_MS, NOW_MS + second_ms, NOW_MS + 2 * second_ms], "the fast one is in use"


def test_a_run_that_outran_its_prediction_is_told_to_run_as_long_again_but_not_beyond_its_walltime() -> None:
    late = replace(_run(1, NOW_MS + 90_000), started_ms=NOW_MS - 6_000, predicted_ms=5_000)
    assert _eta(_one_node(late, jobs=(_job(11, 2),)), 11)[0] == NOW_MS + 6_000
    nearly = replace(late, expected_end_ms=NOW_MS + 2_000)
    assert _eta(_one_node(nearly, jobs=(_job(11, 2),)), 11) == (
        NOW_MS + 2_000,
        ReasonCode.ETA_BY_WALLTIMES,
        {"runs": 1},
    )


def test_a_prediction_tells_of_a_run_without_a_walltime_and_a_job_without_one() -> None:
    run = replace(_run(1, None), started_ms=NOW_MS, predicted_ms=5_000)
    facts = _one_node(run, jobs=(replace(_job(11, 2, None), expected_ms=700), _job(12, 2)))
    assert _eta(facts, 11)[0] == NOW_MS + 5_000
    assert _eta(facts, 12)[0] == NOW_MS + 5_700


def test_runs_without_a_walltime_are_named_as_what_is_in_the_way() -> None:
    facts = _one_node(_run(1, None), _run(2, NOW_MS + 10), jobs=(_job(11, 2),))
    assert _eta(facts, 11) == (None, ReasonCode.ETA_WITHOUT_WALLTIME, {"runs": 1})


def test_a_waiting_job_without_a_walltime_hides_what_is_behind_it() -> None:
    facts = _one_node(_run(1, NOW_MS + 10), jobs=(_job(11, 2, None), _job(12, 2)))
    assert _eta(facts, 11)[0] == NOW_MS + 10
    assert _eta(facts, 12) == (None, ReasonCode.ETA_WITHOUT_WALLTIME, {"runs": 1})


def test_what_a_quota_forbids_would_not_start_on_an_empty_federation_either() -> None:
    facts = _one_node(_run(1, NOW_MS + 10), jobs=(_job(11, 2),), limit=1)
    assert _eta(facts, 11) == (None, ReasonCode.ETA_NOT_AS_THINGS_ARE, {})


def test_with_few_steps_what_is_far_is_taken_together_and_with_more_each_end_stands_alone() -> None:
    facts = _one_node(_run(1, NOW_MS + 100_000), _run(2, NOW_MS + 105_000), jobs=(_job(11, 1), _job(12, 1)))
    assert [_eta(facts, job, ForecastLimits(steps_max=2))[0] for job in (11, 12)] == [NOW_MS + 105_000] * 2
    told = [_eta(facts, job, ForecastLimits(steps_max=6))[0] for job in (11, 12)]
    assert told == [NOW_MS + 100_000, NOW_MS + 105_000]


def test_a_costly_federation_is_given_fewer_steps() -> None:
    ends = [_run(number, NOW_MS + number * 1_000) for number in (1, 2)]
    jobs = tuple(_job(number, 2) for number in range(11, 61))
    federation = federation_of(_one_node(*ends, jobs=jobs))
    assert Forecast(federation, ForecastLimits(looks_max=0)).steps == 20
    assert Forecast(federation, ForecastLimits(looks_max=52 * 30)).steps == 30
    assert Forecast(federation, ForecastLimits(looks_max=52 * 30, steps_max=25)).steps == 25


def test_beyond_the_horizon_and_beyond_the_steps_nothing_is_said() -> None:
    facts = _one_node(_run(1, NOW_MS + 10), _run(2, NOW_MS + 2_000), jobs=(_job(11, 2),))
    assert _eta(facts, 11, ForecastLimits(horizon_ms=1_999)) == (None, ReasonCode.ETA_BEYOND_FORECAST, {})
    assert _eta(facts, 11, ForecastLimits(steps_max=1)) == (None, ReasonCode.ETA_BEYOND_FORECAST, {})
    assert _eta(facts, 11, ForecastLimits(steps_max=3, horizon_ms=2_000))[0] == NOW_MS + 2_000
    forecast = Forecast(federation_of(facts), ForecastLimits(horizon_ms=1_999))
    assert forecast.until_ms == NOW_MS + 1_999


def test_too_many_jobs_are_not_looked_at() -> None:
    facts = _one_node(jobs=(_job(11, 1), _job(12, 1)))
    numbers = {"waiting": 2, "waiting_max": 1}
    assert _eta(facts, 11, ForecastLimits(waiting_max=1)) == (None, ReasonCode.ETA_TOO_MANY_WAITING, numbers)


def test_a_job_that_does_not_wait_has_no_estimate() -> None:
    assert Forecast(federation_of(_one_node(jobs=()))).of(JobId(1)) is None
