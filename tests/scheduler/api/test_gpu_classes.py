"""GPU classes as administrators set them: rates, speeds, and what is neither."""

from __future__ import annotations

from typing import Any

import pytest
from problems import assert_refuses

from tests.scheduler.api.conftest import Cast

RATE = {"credit_numerator": 3, "credit_denominator": 2}


def put(cast: Cast, name: str, body: dict[str, Any]) -> dict[str, Any]:
    """What an administrator is answered who sets something of a class."""
    answer = cast.federation.administrator.ask("PUT", f"gpu-classes/{name}", json=body)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def speeds(cast: Cast, name: str) -> list[tuple[int, float | None]]:
    """Of every rate of a class its numerator, and the speed that is told beside it."""
    items = cast.federation.administrator.get("gpu-classes?limit=100")["items"]
    return [(each["credit_numerator"], each["speed"]) for each in items if each["name"] == name]


def test_a_class_s_speed_is_set_beside_its_rates_recorded_and_taken_back(cast: Cast) -> None:
    for body in (RATE, {"credit_numerator": 5, "credit_denominator": 3}):
        put(cast, "speedy-1", body)
    assert speeds(cast, "speedy-1") == [(3, None), (5, None)]
    told = put(cast, "speedy-1", {"speed": 1.4, "why": "measured"})
    assert (told["credit_numerator"], told["speed"]) == (5, 1.4)
    assert speeds(cast, "speedy-1") == [(3, 1.4), (5, 1.4)]
    put(cast, "speedy-1", RATE)
    assert {speed for _, speed in speeds(cast, "speedy-1")} == {1.4}, "what is not named stays"
    put(cast, "speedy-1", {"speed": None})
    assert {speed for _, speed in speeds(cast, "speedy-1")} == {None}


def test_a_class_that_is_not_in_the_exchange_table_gets_a_speed_with_its_rate_alone(cast: Cast) -> None:
    answer = cast.federation.administrator.ask("PUT", "gpu-classes/speedy-2", json={"speed": 2})
    assert (answer.status_code, answer.json()["code"]) == (422, "ClassWithoutRate")
    assert "speedy-2" in answer.json()["detail"] and "--speed" in answer.json()["detail_ko"]
    assert put(cast, "speedy-2", RATE | {"speed": 2})["speed"] == 2


@pytest.mark.parametrize("speed", [0, -1, 0.0009, 1000.1, 1e9, "NaN", "Infinity", "abc"], ids=str)
def test_what_is_no_speed_is_refused_by_its_field(cast: Cast, speed: Any) -> None:
    answer = cast.federation.administrator.ask("PUT", "gpu-classes/h100", json={"speed": speed})
    assert_refuses(answer, 400, "speed")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "speed"),
        ({"credit_numerator": 1}, "credit_denominator"),
        ({"credit_denominator": 1, "speed": 2}, "credit_numerator"),
        ({"speed": 2, "valid_from": "2027-01-01T00:00:00Z"}, "credit_numerator"),
    ],
    ids=str,
)
def test_half_a_rate_and_nothing_at_all_are_refused(cast: Cast, body: dict[str, Any], field: str) -> None:
    assert_refuses(cast.federation.administrator.ask("PUT", "gpu-classes/h100", json=body), 400, field)
