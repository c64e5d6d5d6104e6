"""A job's pages: the last of its log, any worker's, what happened to it, and in whose words."""

from __future__ import annotations

import re

from page_reader import PageReader
from runtime import ScriptedAgent, Stage, ended, runs_now

from scheduler.model.job_state import EndCause
from scheduler.model.wall_time import in_korea
from scheduler.portal.job_pages import EVENTS_SHOWN_MAX
from scheduler.portal.jobs import LOG_BYTES_SHOWN
from scheduler.service.jobs import JobAction, act_on_job
from scheduler.service.runtime import Runtime
from scheduler.service.time_text import time_text
from scheduler.store import logs


def append(stage: Stage, job: int, data: bytes, rank: int = 0) -> None:
    """A worker's log arrives, in the pieces in which agents send it."""
    run = stage.run(job).id
    for offset in range(0, len(data), 100_000):
        piece = data[offset : offset + 100_000]
        stage.runtime.database.run(
            lambda transaction, at=offset, part=piece: logs.append(  # type: ignore[misc]
                transaction, run_id=run, rank=rank, offset=at, data=part
            )
        )


def running(stage: Stage, **spec: int) -> tuple[ScriptedAgent, int]:
    """A job that its site says runs."""
    agent = stage.agent()
    (job,) = stage.submit(stage.group(), **spec)
    stage.turn()
    agent.sync(runs_now(stage.run(job), stage.clock.now_ms()))
    return agent, job


def end(stage: Stage, agent: ScriptedAgent, job: int) -> None:
    """The job's command is done."""
    now_ms = stage.clock.now_ms()
    agent.sync(ended(stage.run(job), now_ms, now_ms + 1000))
    stage.clock.advance(60)


def log_of(page: str) -> str:
    """What stands in the page's log."""
    found = re.search(r'<pre id="log"[^>]*>(.*?)</pre>', page, re.DOTALL)
    assert found is not None
    return found[1]


def test_a_page_says_how_a_run_failed_when_the_next_comes_and_by_when_the_job_has_to_start(
    stage: Stage, reader: PageReader
) -> None:
    agent = stage.agent()
    (job,) = stage.submit(stage.group(), retries=5, walltime="1h", deadline="3h")
    for _ in range(2):
        stage.turn()
        now_ms = stage.clock.now_ms()
        agent.sync(ended(stage.run(job), now_ms, now_ms, exit_code=137))
    page = reader.get(f"/jobs/{job}").text
    assert "(memory)" in page
    assert "Attempt 2 failed (memory, exit code 137): 2 of 5 retries are used, and attempt 3 is placed after" in page
    assert 'id="deadline"' in page and "to start by" in page


def test_the_page_of_a_gang_that_waits_says_with_how_many_workers_it_would_start(
    stage: Stage, reader: PageReader
) -> None:
    stage.agent(nodes=1)
    (job,) = stage.submit(stage.group(), workers=2, gpus_per_worker=8)
    page = reader.get(f"/jobs/{job}").text
    assert "It would start now with 8 instead of 16 GPUs (1 worker(s)) on h100 at site-1." in page
    reader.cookies["dure_language"] = "ko"
    assert "GPU 16장 대신 8장(작업자 1개)이면 지금 시작합니다(site-1, h100)." in reader.get(f"/jobs/{job}").text


def test_the_page_of_a_job_that_every_site_refused_says_who_in_what_words_until_when_and_what_to_do(
    stage: Stage, reader: PageReader
) -> None:
    agent = stage.agent()
    (job,) = stage.submit(stage.group())
    stage.turn()
    report = ended(stage.run(job), None, stage.clock.now_ms(), cause=EndCause.REFUSED)
    agent.sync(report.model_copy(update={"message": "class S is not <allowed> here"}))
    stage.turn()
    until = time_text(stage.clock.now_ms() + 60_000)
    page = reader.get(f"/jobs/{job}").text
    assert "site-1 has refused it 1 time(s) in a row (class S is not &lt;allowed&gt; here)" in page
    assert f"is not asked again before {in_korea(until)}" in page and f"`dure requeue {job}`" in page
    assert f'datetime="{until}"' in page, "the estimate is the moment at which the site is asked again"
    reader.cookies["dure_language"] = "ko"
    page = reader.get(f"/jobs/{job}").text
    assert "사이트 site-1이(가) 이 작업을 잇달아 1번 거절했습니다(class S is not &lt;allowed&gt; here)" in page
    assert "<allowed>" not in page


LINES = "".join(f"줄 {number}\n" for number in range(60_000))


def test_a_job_s_page_says_how_long_it_is_thought_to_run_and_why(stage: Stage, reader: PageReader) -> None:
    (job,) = stage.submit(stage.group(), walltime="2h")
    assert re.search(r'id="run-time">~2h00m \(its walltime', reader.get(f"/jobs/{job}").text)
    stage.change_job(job, predicted_ms=90_000, predicted_from="group")
    assert re.search(r'id="run-time">~1m30s \(the mean of its group', reader.get(f"/jobs/{job}").text)


def test_a_job_s_page_says_on_which_class_its_run_is_and_of_one_that_waits_how_long_it_would_take_on_each(
    stage: Stage, reader: PageReader
) -> None:
    agent = stage.agent()
    group, both = stage.group(), ("h100", "a100")
    (first,) = stage.submit(group, gpus_per_worker=8, gpu_classes=both, speeds={"h100": 1, "a100": 0.5})
    stage.turn()
    now_ms = stage.clock.now_ms()
    agent.sync(ended(stage.run(first), now_ms, now_ms + 60_000))
    second, third = stage.submit(group, 2, gpus_per_worker=8, gpu_classes=both, speeds={"h100": 1, "a100": 0.5})
    stage.turn()
    page = reader.get(f"/jobs/{second}").text
    assert "measured on h100)" in page and '<td data-label="GPU class">h100</td>' in page
    assert "Run time on" not in page
    for language, told in (("en", "Run time on a100"), ("ko", "a100에서의 실행 시간 예상")):
        reader.cookies["dure_language"] = language
        page = reader.get(f"/jobs/{third}").text
        found = re.search(rf"<dt>{told}</dt><dd>~2m00s \((.*?)\)</dd>", page)
        assert found is not None and "speeds" in found[1]


def test_an_ended_job_s_page_shows_the_last_of_its_log_and_the_download_has_all_of_it(
    stage: Stage, reader: PageReader
) -> None:
    agent, job = running(stage)
    append(stage, job, LINES.encode())
    end(stage, agent, job)
    page = reader.get(f"/jobs/{job}").text
    shown = log_of(page)
    assert LINES.endswith(shown) and shown.startswith("줄 ")
    assert LOG_BYTES_SHOWN - 100 < len(shown.encode()) <= LOG_BYTES_SHOWN
    assert '<p id="left-out" class="hint">Earlier output is left out here' in page
    download = reader.get(f"/jobs/{job}/log?rank=0")
    assert download.text == LINES
    assert "attachment" in download.headers["Content-Disposition"]


def test_a_short_log_is_shown_whole_and_no_word_is_said_of_what_is_left_out(stage: Stage, reader: PageReader) -> None:
    agent, job = running(stage)
    append(stage, job, b"all of it\n")
    end(stage, agent, job)
    page = reader.get(f"/jobs/{job}").text
    assert log_of(page) == "all of it\n"
    assert '<p id="left-out" class="hint" hidden>' in page


def test_a_running_job_s_stream_goes_on_where_its_page_ended(stage: Stage, reader: PageReader) -> None:
    agent, job = running(stage)
    half = "손".encode()[:1]
    append(stage, job, LINES.encode() + half)
    page = reader.get(f"/jobs/{job}").text
    assert log_of(page) == LINES[-len(log_of(page)) :]
    live = re.search(r'hx-sse:connect="([^"]*)"', page)
    assert live is not None
    append(stage, job, LINES.encode() + "손 닿는 곳\r50%\n".encode())
    end(stage, agent, job)
    told = reader.get(live[1].replace("&amp;", "&")).text
    assert re.findall(r"beforeend:#log\">(.*?)</span>", told, re.DOTALL) == ["손 닿는 곳\ndata: 50%\ndata: "]
    assert told.endswith("event: end\ndata: end\n\n")


def test_any_worker_s_log_is_a_choice_away(stage: Stage, reader: PageReader) -> None:
    agent, job = running(stage, workers=3)
    append(stage, job, b"I am the third", rank=2)
    end(stage, agent, job)
    page = reader.get(f"/jobs/{job}?rank=2").text
    assert log_of(page) == "I am the third"
    assert "Log of worker 2" in page and 'max="2" value="2"' in page
    assert reader.get(f"/jobs/{job}/log?rank=2").text == "I am the third"


def test_gpu_seconds_of_a_running_job_are_counted_until_now(stage: Stage, reader: PageReader) -> None:
    agent, job = running(stage, gpus_per_worker=8)
    stage.clock.advance(100)
    assert '<dd id="gpu-seconds">800.0</dd>' in reader.get(f"/jobs/{job}").text
    now_ms = stage.clock.now_ms()
    agent.sync(ended(stage.run(job), now_ms - 100_000, now_ms))
    stage.clock.advance(1000)
    assert '<dd id="gpu-seconds">800.0</dd>' in reader.get(f"/jobs/{job}").text


def test_a_page_shows_what_happened_last_and_leads_to_all_that_happened_before(
    stage: Stage, runtime: Runtime, secret: str, reader: PageReader
) -> None:
    (job,) = stage.submit(stage.group())
    caller = runtime.callers.find(secret)
    for number in range(EVENTS_SHOWN_MAX):
        for action in (JobAction.HOLD, JobAction.RELEASE):
            why = f"{action} {number}."
            runtime.database.run(
                lambda each, action=action, why=why: act_on_job(each, runtime, caller, job, action, why=why)  # type: ignore[misc, arg-type]
            )
    told, address = [], f"/jobs/{job}"
    while address:
        page = reader.get(address).text
        told += re.findall(r"(?:hold|release) \d+\.", page)
        older = re.search(r'<a href="(/jobs/\d+/timeline[^"]*)">Older events', page)
        address = older[1].replace("&amp;", "&") if older else ""
        assert (len(told) == EVENTS_SHOWN_MAX) == (address != "")
    expected = [f"{action} {number}." for number in range(EVENTS_SHOWN_MAX) for action in ("hold", "release")]
    assert told == expected[::-1]


def test_korean_readers_read_korean_words_and_times_with_year_and_zone(stage: Stage, reader: PageReader) -> None:
    _, job = running(stage)
    reader.cookies["dure_language"] = "ko"
    page = reader.get(f"/jobs/{job}").text
    assert '<td data-label="단계"><span class="short">실행 중</span></td>' in page
    assert re.search(r"<b>실행 중</b> <span>에이전트 site-1</span>", page)
    assert re.search(r'<time datetime="[^"]+Z"><span>\d{4}-\d\d-\d\d</span> <span>\d\d:\d\d:\d\d KST</span>', page)


def test_nothing_is_cancelled_before_one_is_asked_once_more(stage: Stage, reader: PageReader) -> None:
    _, job = running(stage)
    assert f'href="/jobs/{job}/cancel"' in reader.get(f"/jobs/{job}").text
    asked = reader.get(f"/jobs/{job}/cancel").text
    assert "The job ends for good" in asked
    assert stage.job(job).state == "running"
    form = re.search(r'name="form" value="([0-9a-f]{64})"', asked)
    assert form is not None
    assert reader.post(f"/jobs/{job}/cancel", {"form": form[1]}).status_code == 200
    assert stage.job(job).state == "cancelling"


def test_who_is_signed_out_is_told_so_in_the_stream_and_it_ends(stage: Stage, stranger: PageReader) -> None:
    _, job = running(stage)
    answer = stranger.get(f"/jobs/{job}/live")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert f'<a href="/sign-in?next=/jobs/{job}">' in answer.text
    assert answer.text.endswith("event: end\ndata: end\n\n")


def test_a_waiting_job_s_page_tells_when_it_would_start_and_a_running_one_s_does_not(
    stage: Stage, reader: PageReader
) -> None:
    agent = stage.agent(gpus=2)
    first, second = stage.submit(stage.group(), 2, gpus_per_worker=2, walltime="1h")
    stage.turn()
    agent.sync(runs_now(stage.run(first), stage.clock.now_ms()))
    found = re.search(r'<p class="hint" id="estimate">(.*?)</p>', reader.get(f"/jobs/{second}").text, re.DOTALL)
    assert found is not None
    there = re.search(r'datetime="([^"]+)"', found[1])
    assert there is not None
    assert there[1] == time_text(stage.clock.now_ms() + 3_600_000)
    assert "KST" in found[1]
    assert "An estimate by the walltimes of 1 run(s)" in found[1]
    assert 'id="estimate"' not in reader.get(f"/jobs/{first}").text


def test_a_job_of_an_array_says_which_and_the_array_s_page_lists_its_jobs(stage: Stage, reader: PageReader) -> None:
    stage.agent()
    group = stage.group()
    (array,) = stage.submit(group, array="0-2%1", name="sweep")
    (other,) = stage.submit(group, after_ok=[array])
    stage.turn()
    page = reader.get(f"/jobs/{array + 2}").text
    assert f'<a href="/?array={array}">{array}, task 1 of 3 jobs</a> (1 at once)' in page
    assert f"At most 1 jobs of the array {array} run at once" in page
    listed = reader.get(f"/?array={array}").text
    assert [f"sweep [{array}_{task}]" in listed for task in range(3)] == [True] * 3
    assert f"/jobs/{other}" not in listed and f"Array {array}" in listed
    assert f"It waits until job {array + 1} has succeeded" in reader.get(f"/jobs/{other}").text
    assert "an array of 3 jobs" in reader.get(f"/jobs/{array}").text
