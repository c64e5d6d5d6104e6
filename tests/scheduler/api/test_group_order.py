"""A group's order, and how long a job is thought to run, as programs read and set them."""

from __future__ import annotations

import pytest
from problems import assert_refuses

from tests.scheduler.api.conftest import Cast


@pytest.fixture
def path(cast: Cast) -> str:
    """A group of the test's own."""
    cast.federation.group("research.orders.one")
    return "groups/research.orders.one"


def test_a_group_s_order_is_set_against_its_etag_and_shown(cast: Cast, path: str) -> None:
    administrator = cast.federation.administrator
    before = administrator.get(path)
    assert (before["order"], before["own_order"]) == ("fifo", None)
    body, match = {"order": "least_work", "why": "short ones first"}, {"If-Match": f'"{before["etag"]}"'}
    assert_refuses(administrator.ask("PUT", f"{path}/order", json=body), 428, "If-Match")
    answer = administrator.ask("PUT", f"{path}/order", json=body, headers=match)
    assert (answer.json()["order"], answer.json()["own_order"]) == ("least_work", "least_work")
    assert answer.headers["ETag"] == f'"{administrator.get(path)["etag"]}"'
    assert_refuses(administrator.ask("PUT", f"{path}/order", json={"order": None}, headers=match), 412, "If-Match")
    again = administrator.ask(
        "PUT", f"{path}/order", json={"order": None}, headers={"If-Match": answer.headers["ETag"]}
    )
    assert (again.json()["order"], again.json()["own_order"]) == ("fifo", None)


def test_an_order_that_nobody_knows_is_refused_by_its_field(cast: Cast, path: str) -> None:
    match = {"If-Match": f'"{cast.federation.administrator.get(path)["etag"]}"'}
    answer = cast.federation.administrator.ask("PUT", f"{path}/order", json={"order": "random"}, headers=match)
    assert_refuses(answer, 400, "order")


@pytest.mark.parametrize(("walltime", "seconds", "basis"), [("2h", 7200.0, "walltime"), (None, None, "unknown")])
def test_a_job_says_how_long_it_is_thought_to_run_and_why(
    cast: Cast, path: str, walltime: str | None, seconds: float | None, basis: str
) -> None:
    given = {} if walltime is None else {"walltime": walltime}
    administrator = cast.federation.administrator
    # No other job has so many GPUs.
    group = path.removeprefix("groups/")
    job = cast.federation.waiting_job(administrator, group, gpus_per_worker=7, **given)
    told = administrator.get(f"jobs/{job}")["run_time"]
    assert (told["seconds"], told["basis"]) == (seconds, basis)
    assert "walltime" in told["text"] and "walltime" in told["text_ko"]
