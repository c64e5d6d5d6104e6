"""Past use and the rule by which it decays, as programs read and set them."""

from __future__ import annotations

import pytest
from problems import assert_refuses

from tests.scheduler.api.conftest import Cast

PATH = "quotas/decay"
WEEK_SECONDS = 7 * 86_400


def test_the_rule_is_read_by_everybody_and_set_by_administrators_against_its_etag(cast: Cast) -> None:
    administrator, somebody = cast.federation.administrator, cast.people["submitter"]
    rule = somebody.get(PATH)
    assert (rule["half_life_seconds"], rule["entry_seconds"]) == (WEEK_SECONDS, 600)
    body, match = {"half_life_seconds": "2d", "entry_seconds": 60, "why": "try"}, {"If-Match": f'"{rule["etag"]}"'}
    assert_refuses(administrator.ask("PUT", PATH, json=body), 428, "If-Match")
    assert somebody.ask("PUT", PATH, json=body, headers=match).status_code == 403
    answer = administrator.ask("PUT", PATH, json=body, headers=match)
    assert (answer.json()["half_life_seconds"], answer.json()["entry_seconds"]) == (172_800, 60)
    assert somebody.get(PATH) == answer.json()
    assert_refuses(administrator.ask("PUT", PATH, json=body, headers=match), 412, "If-Match")
    body = {"half_life_seconds": WEEK_SECONDS, "entry_seconds": "10m"}
    again = administrator.ask("PUT", PATH, json=body, headers={"If-Match": answer.headers["ETag"]})
    assert again.json()["half_life_seconds"] == WEEK_SECONDS


@pytest.mark.parametrize(
    ("field", "value"),
    [("half_life_seconds", 60), ("half_life_seconds", "soon"), ("entry_seconds", "2d"), ("entry_seconds", -1)],
)
def test_a_rule_that_cannot_be_is_refused_by_its_field(cast: Cast, field: str, value: int | str) -> None:
    administrator = cast.federation.administrator
    match = {"If-Match": f'"{administrator.get(PATH)["etag"]}"'}
    body = {"half_life_seconds": WEEK_SECONDS, "entry_seconds": 600} | {field: value}
    assert_refuses(administrator.ask("PUT", PATH, json=body, headers=match), 400, field)


def test_a_group_s_quota_says_what_it_used_and_lent_before(cast: Cast) -> None:
    cast.federation.group("research.past.one")
    administrator = cast.federation.administrator
    quota = administrator.ask(
        "PUT", "groups/research.past.one/quota/h100", json={"limit": 8}, headers={"If-None-Match": "*"}
    )
    assert quota.json()["past_use_gpus"] == 0.0
    told = {name: value for name, value in quota.json().items() if name.startswith(("standing", "le", "surge"))}
    assert told == {
        "standing_gpu_seconds": 0, "standing_gpus": 0.0, "lent_gpus": 0.0, "surged_gpus": 0.0, "lending_limit": None,
        "lends_gpus": 0.0, "surges_gpus": 0.0,
    }  # fmt: skip
