"""Pages around jobs: errors that are pages, too, every site, filters that stay, and no more requests than a token may."""

from __future__ import annotations

import re

import pytest
from page_reader import PageReader
from runtime import Stage, ended, runs_now

from quota.decay import DEFAULT_DECAY, FRACTION_BITS, DecayedUse
from quota.standing import PARTS, Standing
from scheduler.portal import app, sign_in
from scheduler.portal.session import COOKIE
from scheduler.service.certificate_keeper import keep_certificate
from scheduler.store import groups, memberships, quotas, standings

BAD_ADDRESSES = [
    ("GET", "/nothing", 404),
    ("GET", "/jobs/abc", 404),
    ("GET", "/jobs/1/abc", 404),
    ("GET", "/?before=yesterday", 404),
    ("GET", "/jobs/4711", 404),
    ("GET", "/static/nothing.css", 404),
    ("POST", "/sites", 405),
    ("POST", "/jobs/1/abc", 400),
    ("POST", "/language", 400),
]


@pytest.mark.parametrize(("language", "jobs"), [("ko", "내 작업"), ("en", "My jobs")])
def test_what_goes_wrong_at_a_page_s_address_is_told_as_a_page_with_the_way_on(
    reader: PageReader, language: str, jobs: str
) -> None:
    reader.cookies["dure_language"] = language
    for method, path, status in BAD_ADDRESSES:
        answer = reader.request(method, path)
        assert (path, answer.status_code) == (path, status)
        assert answer.headers["Content-Type"].startswith("text/html")
        assert f'<html lang="{language}">' in answer.text
        assert re.search(rf'<nav.*?<a href="/">{jobs}</a>', answer.text, re.DOTALL)
        assert "administrator" in answer.text


def test_a_fault_is_told_as_a_page_with_its_trace(reader: PageReader, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(app, "list_sites", fail)
    answer = reader.get("/sites")
    assert answer.status_code == 500
    assert answer.headers["X-Request-Id"] in answer.text and "<nav" in answer.text


def test_who_is_not_signed_in_is_given_a_page_without_navigation(stranger: PageReader) -> None:
    answer = stranger.get("/nothing")
    assert (answer.status_code, "<nav" in answer.text) == (404, False)


@pytest.mark.parametrize(
    ("came_from", "status"), [("cross-site", 403), ("same-site", 403), ("same-origin", 303), ("none", 303)]
)
def test_nobody_is_signed_in_by_another_site_s_page(
    stranger: PageReader, secret: str, came_from: str, status: int
) -> None:
    answer = stranger.post("/sign-in", {"token": secret, "next": "/sites"}, Sec_Fetch_Site=came_from)
    first = answer.history[0] if answer.history else answer
    assert (first.status_code, COOKIE in first.headers.get("Set-Cookie", "")) == (status, status == 303)


def test_programs_are_told_as_documents(reader: PageReader) -> None:
    for path in ("/api/v1/nothing", "/api/v1/jobs/abc", "/healthz/nothing"):
        assert reader.get(path).headers["Content-Type"] == "application/problem+json"


def test_a_site_that_has_reported_no_node_is_shown(stage: Stage, reader: PageReader) -> None:
    stage.agent("with-nodes")
    stage.agent("without-nodes", nodes=0)
    page = reader.get("/sites").text
    assert page.count("with-nodes</a></td>") == 1
    assert page.count("without-nodes</a></td>") == 1


def test_the_page_of_sites_says_how_near_to_the_best_possible_and_what_one_more_gpu_is_worth(
    stage: Stage, reader: PageReader
) -> None:
    assert "none has been worked out yet" in reader.get("/sites").text
    agent = stage.agent()
    (job, *_) = stage.submit(stage.group(), 9, gpus_per_worker=8, walltime="1h")
    stage.turn()
    began_ms = stage.clock.now_ms()
    agent.sync(runs_now(stage.run(job), began_ms))
    stage.clock.advance(1_800)
    agent.sync(ended(stage.run(job), began_ms, stage.clock.now_ms()))
    stage.follower.catch_up()
    keep_certificate(stage.runtime, stage.follower.federation.snapshot(), stage.fence)
    page = reader.get("/sites").text
    assert "The mean completion of the 1 job(s) that succeeded since" in page
    assert "was 30m00s, within 0.0 % of what any schedule could do" in page
    assert re.search(r'<td data-label="Hours saved">0\.[89]</td>', page)
    reader.cookies["dure_language"] = "ko"
    assert "가능한 최선과의 차이는 0.0 % 이내입니다." in reader.get("/sites").text


def test_a_group_s_page_says_in_which_order_its_jobs_go(stage: Stage, reader: PageReader) -> None:
    orders = ((None, "first come, first in turn"), ("least_work", "least predicted GPU time left first"))
    for order, told in orders:
        stage.runtime.database.run(lambda each, order=order: groups.set_job_order(each, 1, order))  # type: ignore[misc]
        stage.runtime.directories.forget()
        assert f"Order of jobs: {told}" in reader.get("/groups").text


def test_a_group_s_page_says_what_it_lent_less_what_it_held_above_its_share(stage: Stage, reader: PageReader) -> None:
    stage.agent()
    half_life_ms = DEFAULT_DECAY.half_life_ms
    amounts = (DecayedUse(gpus * PARTS * half_life_ms << FRACTION_BITS, stage.clock.now_ms()) for gpus in (4, 1))
    found = {(1, "h100"): Standing(*amounts)}
    stage.runtime.database.run(lambda each: standings.put(each, found))
    assert '<td data-label="Standing">+3.0</td>' in reader.get("/groups").text
    reader.cookies["dure_language"] = "ko"
    assert '<td data-label="대여 신용">+3.0</td>' in reader.get("/groups").text


def test_a_group_s_page_tells_its_cells_and_how_many_can_be_held(stage: Stage, reader: PageReader) -> None:
    group = stage.group("research")
    stage.agent(nodes=2)
    stage.runtime.database.run(
        lambda transaction: memberships.add(transaction, person_id=1, group_id=group, role="viewer")
    )
    stage.runtime.callers.forget()
    stage.runtime.database.run(
        lambda transaction: quotas.put(
            transaction, group_id=group, gpu_class="h100", guaranteed=24, limit=None, borrowing_limit=None,
            lending_limit=None, weight=1, cells=[["node", 1, 3]],
        )
    )  # fmt: skip
    assert "Cells h100: node:1=3 (2/3)" in reader.get("/groups").text
    reader.cookies["dure_language"] = "ko"
    assert "셀 h100: node:1=3 (2/3)" in reader.get("/groups").text


def test_everybody_s_jobs_are_filtered_as_mine_are(reader: PageReader) -> None:
    for wanted in ("true", "false"):
        page = reader.get(f"/?ended={wanted}").text
        assert f'<a href="/?all=true&amp;ended={wanted}">Everybody' in page


def test_the_language_changes_where_one_is(reader: PageReader) -> None:
    assert '<input type="hidden" name="next" value="/?ended=false">' in reader.get("/?ended=false").text


def test_a_page_asks_no_more_often_than_its_token_may(stage: Stage, reader: PageReader) -> None:
    answers = [reader.get("/sites") for _ in range(21)]
    assert [answer.status_code for answer in answers] == [200] * 20 + [429]
    assert "Too many requests" in answers[-1].text
    stage.clock.advance(5)
    assert reader.get("/sites").status_code == 200


def test_nobody_tries_tokens_without_end(stranger: PageReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "SIGN_INS_BURST", 3)
    tried = [stranger.post("/sign-in", {"token": "dure_wrong"}).status_code for _ in range(4)]
    assert tried == [401, 401, 401, 429]
