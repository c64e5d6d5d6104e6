"""The portal in a real browser: signing in, following a job live, Korean and English, dark, narrow, without JavaScript."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from install_chromium import ARGUMENTS, chromium_path
from live_federation import LiveFederation, Person, live_federation
from playwright.sync_api import Browser, ConsoleMessage, Page, Route, expect, sync_playwright

pytestmark = pytest.mark.service
#: Pages are as quick as the machine, which other tests share.
expect.set_options(timeout=20_000)

GROUP = "research.laboratory.vision"
QUOTA = f"groups/{GROUP}/quota/h100"


@dataclass
class Visit:
    """A page, and what the browser complained of."""

    page: Page
    server: str
    complaints: list[str] = field(default_factory=list)

    def sign_in(self, person: Person) -> None:
        """As a person does it."""
        self.page.goto(f"{self.server}/")
        self.page.get_by_label(re.compile("Token|토큰")).fill(person.secret)
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=re.compile("^(Sign in|로그인)$")).click()


def cancel(page: Page) -> None:
    """Cancel the job of a page, asked once more."""
    page.get_by_role("link", name="cancel").click()
    page.get_by_role("button", name="cancel").click()


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveFederation]:
    with live_federation(tmp_path_factory.mktemp("portal")) as made:
        made.group(GROUP)
        made.site("site-1", "1x8:h100")
        yield made


@pytest.fixture(scope="module")
def researcher(federation: LiveFederation) -> Person:
    return federation.person("researcher", {GROUP: "submitter"}, scope="submit")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def visit(browser: Browser, federation: LiveFederation) -> Iterator[Visit]:
    context = browser.new_context(locale="en-US")
    made = Visit(context.new_page(), federation.server)

    def hear(message: ConsoleMessage) -> None:
        if message.type == "error":
            made.complaints.append(message.text)

    made.page.on("console", hear)
    made.page.on("pageerror", lambda error: made.complaints.append(str(error)))
    yield made
    context.close()


def test_one_signs_in_with_a_token_and_sees_one_s_jobs(
    visit: Visit, researcher: Person, federation: LiveFederation
) -> None:
    job = federation.job(researcher, GROUP, ["true"], name="<b>수업 1")
    federation.wait(researcher, job, "succeeded")
    visit.sign_in(researcher)
    expect(visit.page.get_by_role("heading", name="My jobs")).to_be_visible()
    expect(visit.page.get_by_role("link", name=f"{job} <b>수업 1")).to_be_visible()
    assert visit.complaints == []


def test_a_link_with_the_token_behind_the_hash_fills_the_form(visit: Visit, researcher: Person) -> None:
    visit.page.goto(f"{visit.server}/sign-in#{researcher.secret}")
    expect(visit.page.get_by_label("Token")).to_have_value(researcher.secret)
    assert researcher.secret not in visit.page.url


def test_a_wrong_token_is_refused_in_words(visit: Visit) -> None:
    visit.page.goto(visit.server)
    visit.page.get_by_label("Token").fill("dure_wrong")
    visit.page.get_by_role("button", name="Sign in").click()
    expect(visit.page.get_by_role("alert")).to_contain_text("Sign in first")


def test_a_job_s_page_is_live_state_and_log_and_cancel(
    visit: Visit, researcher: Person, federation: LiveFederation, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    command = ["sh", "-c", f"echo first line; while [ ! -e {go} ]; do sleep 0.1; done; echo '<i>second</i>'; sleep 600"]
    job = federation.job(researcher, GROUP, command, gpus_per_worker=8)
    visit.sign_in(researcher)
    visit.page.goto(f"{visit.server}/jobs/{job}")
    expect(visit.page.locator("#status .state")).to_have_text("running")
    expect(visit.page.locator("#log")).to_contain_text("first line")
    go.touch()
    expect(visit.page.locator("#log")).to_contain_text("<i>second</i>")
    waiting = federation.job(researcher, GROUP, ["true"], gpus_per_worker=8)
    visit.page.goto(f"{visit.server}/jobs/{waiting}")
    expect(visit.page.locator(".reason")).to_contain_text("It needs 8 GPUs and 0 are free")
    limit, first = {"limit": 4}, {"If-None-Match": "*"}
    etag = federation.administrator.ask("PUT", QUOTA, json=limit, headers=first).headers["ETag"]
    expect(visit.page.locator(".reason")).to_contain_text("its limit is 4")
    expect(visit.page.locator("#said")).to_contain_text("its limit is 4")
    federation.administrator.ask("PUT", QUOTA, json={}, headers={"If-Match": etag})
    visit.page.goto(f"{visit.server}/jobs/{job}")
    cancel(visit.page)
    expect(visit.page.locator("#status .state")).to_have_text("cancelled")
    expect(visit.page.locator("#status")).to_contain_text("Cancelled by researcher")
    federation.wait(researcher, waiting, "succeeded")
    assert visit.complaints == []


def test_a_live_connection_that_is_lost_is_told_until_it_is_mended(
    visit: Visit, researcher: Person, federation: LiveFederation
) -> None:
    job = federation.job(researcher, GROUP, ["sh", "-c", "echo said; exec sleep 600"])
    federation.wait(researcher, job, "running")
    visit.sign_in(researcher)
    visit.page.route(re.compile("/live"), lambda route: route.abort())
    visit.page.goto(f"{visit.server}/jobs/{job}")
    expect(visit.page.get_by_text("The live connection is lost")).to_be_visible()
    visit.page.unroute_all()
    expect(visit.page.locator("#connection")).to_be_hidden()
    researcher.post(f"jobs/{job}/cancel")
    expect(visit.page.locator("#status .state")).to_have_text("cancelled")
    expect(visit.page.locator("#connection")).to_be_hidden()


@pytest.mark.parametrize("script", ["hx-sse.min.js", "portal.js"])
def test_a_script_that_comes_late_takes_nothing_from_a_live_page(
    visit: Visit, researcher: Person, federation: LiveFederation, script: str
) -> None:
    job = federation.job(researcher, GROUP, ["sh", "-c", "exec sleep 600"])
    federation.wait(researcher, job, "running")
    visit.sign_in(researcher)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    visit.page.route(re.compile(re.escape(script)), hold)
    visit.page.route(re.compile("/live"), lambda route: route.abort())
    visit.page.goto(f"{visit.server}/jobs/{job}", wait_until="commit")
    visit.page.wait_for_function("() => window.htmx !== undefined")
    visit.page.evaluate("() => new Promise((done) => setTimeout(done))")
    [late] = held
    late.continue_()
    expect(visit.page.get_by_text("The live connection is lost")).to_be_visible()
    researcher.post(f"jobs/{job}/cancel")


def test_sites_and_quota_are_shown_and_korean_is_one_click_away(
    visit: Visit, researcher: Person, tmp_path: Path
) -> None:
    visit.sign_in(researcher)
    visit.page.get_by_role("link", name="Sites").click()
    expect(visit.page.get_by_role("cell", name="h100")).to_be_visible()
    visit.page.get_by_role("link", name="Quota").click()
    expect(visit.page.get_by_role("heading", name=GROUP)).to_be_visible()
    visit.page.get_by_role("button", name="한국어").click()
    expect(visit.page.get_by_role("heading", name="할당량과 사용량")).to_be_visible()
    assert visit.page.locator("html").get_attribute("lang") == "ko"
    assert len(visit.page.screenshot(path=tmp_path / "quota.png")) > 5_000


@pytest.mark.parametrize("language", ["ko-KR", "en-US"])
def test_no_word_of_a_table_is_broken_on_a_desktop(
    browser: Browser, federation: LiveFederation, researcher: Person, language: str
) -> None:
    federation.job(researcher, GROUP, ["true"], gpus_per_worker=8, name="evaluate-a-transformer")
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale=language)
    visit = Visit(context.new_page(), federation.server)
    visit.sign_in(researcher)
    visit.page.wait_for_selector("tbody")
    # A word on two lines has two boxes; names may be broken after their dots and hyphens.
    broken = visit.page.evaluate(
        """() => {
          const found = [], walker = document.createTreeWalker(document.querySelector("table"), NodeFilter.SHOW_TEXT);
          for (let node = walker.nextNode(); node; node = walker.nextNode())
            for (const word of node.data.matchAll(/[^\\s-]+-?/g)) {
              const range = document.createRange();
              range.setStart(node, word.index);
              range.setEnd(node, word.index + word[0].length);
              if (range.getClientRects().length > 1) found.push(word[0]);
            }
          return found;
        }"""
    )
    assert broken == []
    context.close()


def test_pages_are_dark_where_the_reader_wants_it_and_fit_a_phone(
    browser: Browser, federation: LiveFederation, researcher: Person
) -> None:
    context = browser.new_context(color_scheme="dark", viewport={"width": 375, "height": 700}, locale="ko-KR")
    visit = Visit(context.new_page(), federation.server)
    visit.sign_in(researcher)
    for path in ("/", "/sites", "/groups"):
        visit.page.goto(f"{federation.server}{path}")
        width = visit.page.evaluate("document.documentElement.scrollWidth")
        assert width <= 375, path
    assert visit.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"
    context.close()


def test_everything_but_liveness_works_without_javascript(
    browser: Browser, federation: LiveFederation, researcher: Person
) -> None:
    job = federation.job(researcher, GROUP, ["sh", "-c", "echo said; exec sleep 600"])
    federation.wait(researcher, job, "running")
    context = browser.new_context(java_script_enabled=False, locale="en-US")
    visit = Visit(context.new_page(), federation.server)
    visit.sign_in(researcher)
    visit.page.goto(f"{federation.server}/jobs/{job}")
    cancel(visit.page)
    federation.wait(researcher, job, "cancelled")
    visit.page.reload()
    expect(visit.page.locator("#status .state")).to_have_text("cancelled")
    context.close()


def test_a_form_from_elsewhere_is_refused(federation: LiveFederation, researcher: Person) -> None:
    cookies = {"dure_session": researcher.secret}
    job = federation.job(researcher, GROUP, ["true"])
    for form in ({}, {"form": "0" * 64}):
        answer = httpx.post(f"{federation.server}/jobs/{job}/cancel", data=form, cookies=cookies)
        assert answer.status_code == 403
    answer = httpx.get(f"{federation.server}/sign-in?next=//evil.example/")
    assert 'value="/"' in answer.text
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
