"""Pages: whatever their size, all of them together hold everything once, and the last one says that it is the last."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import httpx
import pytest
from live_federation import ask_once

from connectors.clock import SystemClock
from connectors.local.nodes import declare_all
from connectors.local.simulated import Script, SimulatedConnector
from scheduler.portal import jobs as portal
from tests.scheduler.api.conftest import Cast, make_cast

#: What each list has at least when ``plenty`` is there.
ITEMS = 5
LISTS: dict[str, Callable[[Any], Any]] = {
    "jobs": lambda item: item["id"],
    "jobs?group=research.paged": lambda item: item["id"],
    "jobs?state=live": lambda item: item["id"],
    "jobs/{job}/events": lambda item: item["id"],
    "groups": lambda item: item["path"],
    "groups/research.paged/members": lambda item: (item["person"], item["role"], item["group"]),
    "gpu-classes": lambda item: (item["name"], item["valid_from"]),
    "tokens": lambda item: item["id"],
    "sites": lambda item: item["name"],
    "sites/paged-1/runs": lambda item: item["run"],
    "sites/paged-1/reservations": lambda item: item["id"],
    "offers?site=unused-0": lambda item: item["id"],
}


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cast]:
    """A federation of its own: lists are short enough to be read in every size, whatever other tests have made."""
    with make_cast(tmp_path_factory.mktemp("paging")) as made:
        yield made


@pytest.fixture(scope="module")
def plenty(cast: Cast) -> dict[str, str]:
    """Several of everything that is listed; what stands in the paths."""
    federation, administrator = cast.federation, cast.federation.administrator
    federation.group("research.paged")
    # Runs that go on to the end, and no process that would outlive it.
    nodes = declare_all(["1x8:b200"], None)
    connector = SimulatedConnector(nodes, SystemClock(), script_of=lambda _: Script(seconds=None))
    federation.serve("paged-1", connector, len(nodes), trust_domain="paged")
    for number in range(ITEMS):
        federation.group(f"research.paged.team-{number}")
        administrator.post("groups/research.paged/members", {"person": f"member-{number}", "role": "viewer"})
        administrator.post("tokens", {"name": f"token-{number}", "scopes": ["read"]})
        contract = {"owner": "o", "operator": "o", "facility": "f"}
        administrator.post("sites", {"name": f"unused-{number}", **contract})
        body = {
            "credit_numerator": number + 1,
            "credit_denominator": 1,
            "valid_from": f"2026-01-0{number + 1}T00:00:00Z",
        }
        assert administrator.ask("PUT", "gpu-classes/b200", json=body).status_code == 200
        running = federation.job(administrator, "research.paged", ["sleep", "600"], gpu_classes=["b200"])
        federation.wait(administrator, running, "running")
    for _ in range(ITEMS):
        administrator.post("sites/paged-1/reservations", {"from": "2190-01-01T00:00:00Z", "reason": "new cables"})
        administrator.post("offers", {"site": "unused-0", "gpu_class": "b200", "nodes": 1, "notice": "1h"})
    for action in ("hold", "release", "hold", "release"):
        administrator.post(f"jobs/{waiting(cast)}/{action}")
    return {"job": str(waiting(cast))}


def waiting(cast: Cast) -> int:
    """A job that no guarantee lets start."""
    jobs = cast.federation.administrator.get("jobs", state="queued", group="research.paged")["items"]
    jobs += cast.federation.administrator.get("jobs", state="held", group="research.paged")["items"]
    if jobs:
        return int(jobs[0]["id"])
    return cast.federation.waiting_job(cast.federation.administrator, "research.paged")


def pages(cast: Cast, path: str, limit: int) -> list[list[Any]]:
    """Every page of a list, as long as one says that there is another."""
    found, cursor, seen = [], None, set[str]()
    while True:
        query = {"limit": limit} | ({} if cursor is None else {"cursor": cursor})
        page = cast.federation.administrator.ask("GET", path, params=httpx.URL(f"http://x/{path}").params.merge(query))
        assert page.status_code == 200, page.text
        found.append(page.json()["items"])
        cursor = page.json()["next_cursor"]
        if cursor is None:
            return found
        assert cursor not in seen, "pages go round in a circle"
        seen.add(cursor)


@pytest.mark.parametrize("path", LISTS)
def test_pages_of_every_size_hold_everything_once_in_order_and_none_is_empty(
    cast: Cast, plenty: dict[str, str], path: str
) -> None:
    name, path = LISTS[path], path.format(**plenty)
    (everything,) = pages(cast, path, 1000)
    expected = [name(item) for item in everything]
    assert len(set(expected)) == len(expected) >= ITEMS
    for limit in range(1, len(expected) + 2):
        found = pages(cast, path, limit)
        assert [name(item) for page in found for item in page] == expected
        assert [len(page) for page in found[:-1]] == [limit] * (len(found) - 1)
        assert 0 < len(found[-1]) <= limit


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_events_come_in_whole_changes_and_each_comes_once(cast: Cast, plenty: dict[str, str], limit: int) -> None:
    (everything,) = pages(cast, "events?group=research.paged", 1000)
    found = pages(cast, "events?group=research.paged", limit)
    assert [item for page in found for item in page] == everything
    changes = [{item["id"].partition(".")[0] for item in page} for page in found]
    assert all(one.isdisjoint(other) for one, other in pairwise(changes))


def test_the_portal_s_pages_lead_from_one_to_the_next_through_every_job(
    cast: Cast, plenty: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = [item["id"] for item in cast.federation.administrator.get("jobs", limit=1000)["items"]]
    cookies = {"dure_session": cast.federation.administrator.secret}
    for size in (1, 2, len(everything) - 1, len(everything)):
        monkeypatch.setattr(portal, "JOBS_A_PAGE", size)
        found, path = [], "/?all=true"
        while path and len(found) <= len(everything):
            page = ask_once("GET", f"{cast.federation.server}{path}", cookies=cookies).text
            shown = list(dict.fromkeys(int(each) for each in re.findall(r'href="/jobs/(\d+)"', page)))
            assert 0 < len(shown) <= size
            found += shown
            following = re.search(r'href="(/\?[^"]*before=\d+[^"]*)"', page)
            path = following[1].replace("&amp;", "&") if following else ""
        assert found == everything
