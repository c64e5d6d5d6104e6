"""A site's page: what it lends, what is taken back or kept, what runs there, and what its owner is owed."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from offered import offer
from page_reader import PageReader
from runtime import Stage, ended, node, runs_now

from scheduler.service.caller import Role
from scheduler.store import memberships, people, recalls, reservations, sites
from scheduler.store.transaction import WriteTransaction

HOUR_MS = 3_600_000


def sections(page: str) -> dict[str, str]:
    """The text of each section by its heading."""
    parts = re.findall(r"<section>\s*<h2>(.*?)</h2>(.*?)</section>", page, re.DOTALL)
    return {heading: " ".join(re.sub(r"<[^>]+>", " ", body).split()) for heading, body in parts}


def test_a_site_with_nothing_to_tell_says_so(stage: Stage, reader: PageReader) -> None:
    stage.agent()
    told = sections(reader.get("/sites/site-1").text)
    assert told == {
        "Offers": "There is no offer: the site lends all that it has.",
        "Nodes taken back or kept": "None.",
        "What runs here": "Nothing.",
        "What its owner is owed": "Nothing has run here yet.",
    }


def test_what_a_site_lends_and_on_which_terms(stage: Stage, reader: PageReader) -> None:
    agent = stage.agent(nodes=4)
    window = {"time_zone": "Asia/Seoul", "windows": [{"days": ["sat", "sun"], "from": "08:00", "to": "20:00"}]}
    offer(stage, agent, nodes=4, rate="5/4", sectors=["research"])
    offer(stage, agent, nodes=2, notice="none", calendar=window)
    told = sections(reader.get("/sites/site-1").text)["Offers"]
    assert "1 h100 4 open – always 1h00m 5/4 research" in told
    assert "sat,sun 08:00–20:00 (Asia/Seoul) – – everybody" in told


def test_what_is_taken_back_or_kept_and_who_has_yet_to_go(stage: Stage, reader: PageReader) -> None:
    agent, group = stage.agent(nodes=2), stage.group()
    (job,) = stage.submit(group, gpus_per_worker=8)
    stage.turn()
    agent.sync(runs_now(stage.run(job), stage.clock.now_ms()))
    held, *_ = stage.run(job).gang[0]
    now_ms = stage.clock.now_ms()

    def add(transaction: WriteTransaction) -> None:
        values = {"site_id": agent.site_id, "gpu_class": "h100", "created_by": "minseo", "node_ids": [held]}
        recalls.add(transaction, **values, by_ms=now_ms + HOUR_MS, until_ms=None)
        for kept_for, why in ((None, "new cables"), (group, "a deadline")):
            reservations.add(
                transaction, **values, from_ms=now_ms, to_ms=now_ms + HOUR_MS, reason=why, group_id=kept_for
            )

    stage.runtime.database.run(add)
    told = sections(reader.get("/sites/site-1").text)["Nodes taken back or kept"]
    by = datetime.fromtimestamp((now_ms + HOUR_MS) / 1000, tz=UTC)
    assert f"{by:%Y}" in told
    assert re.search(r"Recall 1 site-1-\d .* – 1 –", told)
    assert re.search(r"Maintenance 1 site-1-\d .* – 1 new cables", told)
    assert re.search(r"Reservation 2 site-1-\d .* research 0 a deadline", told), "its own runs may stay"


def test_the_blocks_of_a_site_and_which_nodes_are_spares_now(stage: Stage, reader: PageReader) -> None:
    agent = stage.agent(nodes=0)
    agent.report_nodes(*(node(f"node-{number}", domain=("hall", "spine", "rack")) for number in range(3)))
    stage.runtime.database.run(lambda transaction: sites.change(transaction, agent.site_id, block_nodes={"h100": 2}))
    stage.runtime.world.forget()
    told = sections(reader.get("/sites/site-1").text)["Blocks and spares"]
    assert told.endswith("h100 2 node-2")


def test_what_runs_at_a_site_and_what_its_owner_is_owed(stage: Stage, reader: PageReader) -> None:
    agent = stage.agent(nodes=2)
    first, second = stage.submit(stage.group(), 2, gpus_per_worker=8)
    stage.turn()
    began_ms = stage.clock.now_ms()
    agent.sync(*(runs_now(stage.run(job), began_ms) for job in (first, second)))
    stage.clock.advance(1_800)
    agent.sync(
        ended(stage.run(first), began_ms, stage.clock.now_ms()),
        runs_now(stage.run(second), began_ms),
    )
    told = sections(reader.get("/sites/site-1").text)
    assert re.search(r"research h100 × 8 running site-1-\d .* 30m00s", told["What runs here"])
    assert told["What its owner is owed"].endswith("h100 4.0 4.0000 1")


def test_of_many_runs_the_first_are_shown_and_that_there_are_more(
    stage: Stage, reader: PageReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.portal.site.RUNS_SHOWN_MAX", 1)
    stage.agent(nodes=2)
    stage.submit(stage.group(), 2, gpus_per_worker=8)
    stage.turn()
    told = sections(reader.get("/sites/site-1").text)["What runs here"]
    assert (told.count("h100 × 8"), "There are more" in told) == (1, True)


def test_the_list_of_sites_leads_to_those_that_the_reader_may_inspect_and_to_no_other(
    stage: Stage, reader: PageReader
) -> None:
    stage.agent()
    assert '<a href="/sites/site-1">' in reader.get("/sites").text
    assert reader.get("/sites/nothing").status_code == 404

    def is_administrator_no_more(transaction: WriteTransaction) -> None:
        person = people.ensure(transaction, "administrator").id
        memberships.remove(transaction, person_id=person, group_id=1, role=Role.ADMINISTRATOR.value)

    stage.runtime.database.run(is_administrator_no_more)
    stage.runtime.callers.forget()
    page = reader.get("/sites")
    assert (page.status_code, "/sites/site-1" in page.text) == (200, False)
    assert reader.get("/sites/site-1").status_code == 403
