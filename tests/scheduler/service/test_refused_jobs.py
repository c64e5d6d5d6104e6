"""A site that refused a job is not asked for it again for a while; the job waits for it, or goes elsewhere, and is told."""

from __future__ import annotations

import pytest
from runtime import ScriptedAgent, Stage, ended, runs_now

from scheduler.model.job_state import EndCause
from scheduler.model.reason import ReasonCode, Refusal
from scheduler.model.reason_text import sentence
from scheduler.model.wall_time import in_korea
from scheduler.service.array_actions import act_on_array
from scheduler.service.caller import Caller
from scheduler.service.eta import eta_of
from scheduler.service.follow import Follower
from scheduler.service.jobs import JobAction, JobWhy, act_on_job, why_job
from scheduler.service.time_text import time_text

WORDS = "data class S of research is not allowed at this site by its contract"


class Sites:
    """Two sites of one node; both are heard whenever time passes."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.agents = [stage.agent(f"site-{number}") for number in (1, 2)]

    def agent_of(self, job: int) -> ScriptedAgent:
        """The agent to which the newest run of a job was leased."""
        return next(each for each in self.agents if each.site_id == self.stage.run(job).site_id)

    def pass_time(self, seconds: float) -> None:
        """Let time go on."""
        self.stage.clock.advance(seconds)
        for agent in self.agents:
            agent.sync()

    def place(self, job: int) -> str:
        """One round, which has to start the job: where."""
        before = len(self.stage.runs(job))
        self.stage.turn()
        assert len(self.stage.runs(job)) == before + 1, "no round started it"
        return self.agent_of(job).site.name

    def refuse(self, job: int, words: str = WORDS) -> None:
        """The agent refuses the run that it was leased."""
        report = ended(self.stage.run(job), None, self.stage.clock.now_ms(), cause=EndCause.REFUSED)
        self.agent_of(job).sync(report.model_copy(update={"message": words}))


@pytest.fixture
def sites(stage: Stage) -> Sites:
    """Two sites that take work."""
    return Sites(stage)


@pytest.fixture
def job(stage: Stage) -> int:
    """A job that waits."""
    (made,) = stage.submit(stage.group())
    return made


def why(stage: Stage, administrator: Caller, job: int) -> JobWhy:
    """What `dure why` is answered."""
    told = why_job(stage.runtime, administrator, job)
    assert not isinstance(told, Refusal)
    return told


def test_a_refused_job_goes_elsewhere_at_once_and_waits_when_all_have_refused_it(sites: Sites, job: int) -> None:
    assert sites.place(job) == "site-1"
    sites.refuse(job)
    assert sites.place(job) == "site-2"
    sites.pass_time(20)
    sites.refuse(job)
    assert (sites.stage.turn(), sites.stage.job(job).state) == (0, "queued")
    sites.pass_time(39)
    assert sites.stage.turn() == 0
    sites.pass_time(1)
    assert sites.place(job) == "site-1", "a minute after its first refusal; the other one's is not over"
    sites.refuse(job)
    sites.pass_time(20)
    assert sites.place(job) == "site-2"


def test_other_jobs_go_to_the_site_as_before(sites: Sites, job: int) -> None:
    sites.place(job)
    sites.refuse(job)
    (other,) = sites.stage.submit(1)
    sites.stage.turn()
    assert [sites.agent_of(each).site.name for each in (job, other)] == ["site-2", "site-1"]


def test_why_names_the_sites_their_words_how_often_and_until_when(
    sites: Sites, job: int, administrator: Caller
) -> None:
    sites.place(job)
    sites.refuse(job, "epoch 1 is stale")
    told = why(sites.stage, administrator, job)
    assert told.job.reason is not None
    assert told.job.reason.code is not ReasonCode.REFUSED_BY_SITE, "the other site may have it"
    sites.place(job)
    sites.refuse(job)
    sites.pass_time(60)
    sites.place(job)
    sites.refuse(job, "epoch 3 is stale")
    sites.place(job)
    sites.refuse(job)
    told = why(sites.stage, administrator, job)
    now_ms = sites.stage.clock.now_ms()
    until = time_text(now_ms + 120_000)
    assert [(each.site, each.code) for each in told.sites] == [
        ("site-1", ReasonCode.REFUSED_BY_SITE),
        ("site-2", ReasonCode.REFUSED_BY_SITE),
    ]
    assert [[each.numbers[name] for name in ("site", "times", "message", "until")] for each in told.sites] == [
        ["site-1", 2, "epoch 3 is stale", until],
        ["site-2", 2, WORDS, until],
    ]
    reason = told.job.reason
    assert reason is not None and told.counterfactual is None
    english, korean = (sentence(reason.code, reason.numbers, language) for language in ("en", "ko"))
    assert english.startswith(
        f"site-1 has refused it 2 time(s) in a row (epoch 3 is stale) and is not asked again before {in_korea(until)}"
    )
    assert f"`dure requeue {job}`" in english and f"`dure requeue {job}`" in korean
    assert "site-1이(가) 이 작업을 잇달아 2번 거절했습니다(epoch 3 is stale)" in korean and in_korea(until) in korean


def test_of_several_sites_the_one_that_is_asked_again_first_stands_in_front(
    sites: Sites, job: int, administrator: Caller
) -> None:
    for _ in range(2):
        sites.place(job)
        sites.refuse(job)
        sites.pass_time(10)
    sites.pass_time(45)
    sites.place(job)
    sites.refuse(job)
    reason = why(sites.stage, administrator, job).job.reason
    assert reason is not None
    assert (reason.code, reason.numbers["site"], reason.numbers["times"]) == (ReasonCode.REFUSED_BY_SITE, "site-2", 1)


def test_a_job_that_all_refuse_is_never_given_up_and_asked_for_once_an_hour(sites: Sites, stage: Stage) -> None:
    (job,) = stage.submit(stage.group(), retries={"infrastructure": 0})
    for _ in range(12):
        for _ in sites.agents:
            sites.place(job)
            sites.refuse(job)
        assert stage.turn() == 0
        sites.pass_time(3600)
    row = stage.job(job)
    assert (row.state, row.infrastructure_failures, row.not_before_ms) == ("queued", 0, None)


def test_the_estimate_is_the_moment_at_which_a_site_is_asked_again(sites: Sites, job: int) -> None:
    for _ in range(2):
        sites.place(job)
        sites.refuse(job)
    told = eta_of(sites.stage.runtime, sites.stage.job(job))
    assert told is not None
    assert (told.start_ms, told.reason.code) == (sites.stage.clock.now_ms() + 60_000, ReasonCode.ETA_BY_REFUSAL)


def test_what_was_refused_is_forgotten_once_the_job_has_run(sites: Sites, job: int) -> None:
    sites.place(job)
    sites.refuse(job)
    sites.place(job)
    now_ms = sites.stage.clock.now_ms()
    sites.agent_of(job).sync(runs_now(sites.stage.run(job), now_ms))
    assert sites.stage.job(job).refusals is not None
    sites.agent_of(job).sync(ended(sites.stage.run(job), now_ms, now_ms, cause=EndCause.NODE_LOST))
    assert sites.stage.job(job).refusals is None
    assert sites.place(job) == "site-1"


def test_a_run_that_is_lost_before_it_started_forgets_no_refusal(sites: Sites, job: int) -> None:
    sites.place(job)
    sites.refuse(job)
    sites.place(job)
    sites.agent_of(job).sync(ended(sites.stage.run(job), None, sites.stage.clock.now_ms(), cause=EndCause.START_FAILED))
    assert [each["times"] for each in sites.stage.job(job).refusals or []] == [1]
    assert sites.place(job) == "site-2"


def act(stage: Stage, administrator: Caller, job: int, action: JobAction) -> object:
    """What a person does with a job."""
    return stage.runtime.database.run(lambda each: act_on_job(each, stage.runtime, administrator, job, action))


@pytest.mark.parametrize("actions", [[JobAction.REQUEUE], [JobAction.HOLD, JobAction.RELEASE]], ids=str)
def test_whoever_sends_the_job_back_has_the_sites_asked_at_once(
    sites: Sites, job: int, administrator: Caller, actions: list[JobAction]
) -> None:
    for _ in range(2):
        sites.place(job)
        sites.refuse(job)
    assert sites.stage.turn() == 0
    for action in actions:
        assert not isinstance(act(sites.stage, administrator, job, action), Refusal)
    assert sites.place(job) == "site-1"
    sites.refuse(job)
    assert [each["times"] for each in sites.stage.job(job).refusals or []] == [1]


def test_a_job_that_nobody_refused_and_waits_cannot_be_sent_back(sites: Sites, job: int, administrator: Caller) -> None:
    assert isinstance(act(sites.stage, administrator, job, JobAction.REQUEUE), Refusal)


def test_a_task_that_was_refused_keeps_nobody_of_its_array_waiting(
    sites: Sites, stage: Stage, administrator: Caller
) -> None:
    (array,) = stage.submit(stage.group(), array="0-1%1")
    first, second = array + 1, array + 2
    sites.place(first)
    sites.refuse(first)
    reason = why(stage, administrator, second).job.reason
    assert reason is not None and reason.code is not ReasonCode.WAITING_FOR_ARRAY
    assert sites.place(second) == "site-1"
    stage.runtime.database.run(lambda each: act_on_array(each, stage.runtime, administrator, array, JobAction.REQUEUE))
    assert stage.job(first).refusals is None


def test_a_leader_that_begins_meanwhile_keeps_the_site_unasked_and_wakes_in_time(sites: Sites, job: int) -> None:
    for _ in range(2):
        sites.place(job)
        sites.refuse(job)
    stage = sites.stage
    stage.follower = Follower(stage.runtime.database, stage.clock, stage.runtime.policy)
    assert stage.turn() == 0
    sites.pass_time(60)
    assert sites.place(job) == "site-1"


@pytest.mark.parametrize("seconds", [3600, 50, -50], ids=lambda each: f"by {each} s")
def test_a_clock_that_is_set_otherwise_and_back_has_no_site_forgotten_and_everybody_told_the_same(
    sites: Sites, job: int, administrator: Caller, seconds: float
) -> None:
    for _ in range(2):
        sites.place(job)
        sites.refuse(job)
    sites.stage.clock.jump(seconds)
    sites.stage.follower.catch_up()
    sites.stage.clock.jump(-seconds)
    assert sites.stage.turn() == 0
    reason = why(sites.stage, administrator, job).job.reason
    assert reason is not None and (reason.code, reason.numbers["times"]) == (ReasonCode.REFUSED_BY_SITE, 1)
    sites.pass_time(60)
    assert sites.place(job) == "site-1"


def test_a_clock_that_is_set_back_has_nobody_wait_for_more_than_twice_as_long(sites: Sites, job: int) -> None:
    for _ in range(2):
        sites.place(job)
        sites.refuse(job)
    sites.stage.clock.jump(-1800)
    assert sites.place(job) == "site-1", "and not in half an hour"
    sites.refuse(job)
    assert [each["times"] for each in sites.stage.job(job).refusals or []] == [2, 1]
