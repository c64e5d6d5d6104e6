"""A direct route answers as the framework's own would: the dry run asks for caller and key by the framework's means."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi.routing import APIRoute
from live_federation import ask_once

from scheduler.api.app import API_PREFIX, create_app
from scheduler.api.routes import submit
from tests.scheduler.api.conftest import Cast

JOB = {"name": "direct", "group": Cast.own, "gpus_per_worker": 1, "gpu_classes": ["h100"], "command": ["true"]}


def asked(cast: Cast, path: str, headers: dict[str, str]) -> tuple[int, object]:
    answer = ask_once("POST", f"{cast.federation.server}/api/v1/{path}", json=JOB, headers=headers)
    problem = answer.json()
    return answer.status_code, (
        problem["code"],
        problem["errors"],
        problem["detail_ko"],
        answer.headers["content-type"],
    )


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic {token}"},
        {"Authorization": "Bearer dure_nobody", "Idempotency-Key": "k"},
        {"Authorization": "Bearer {token}"},
        {"Authorization": "Bearer {token}", "Idempotency-Key": ""},
        {"Authorization": "bearer {token}", "Idempotency-Key": "two words"},
        {"Authorization": "Bearer {token}", "Idempotency-Key": "k" * 256},
        {"Authorization": "Bearer {reader}", "Idempotency-Key": "k"},
        {"Authorization": "Bearer {reader}"},
    ],
)
def test_a_request_without_a_good_caller_or_key_is_refused_alike(cast: Cast, headers: dict[str, str]) -> None:
    tokens = {"token": cast.people["submitter"].secret, "reader": cast.people["reader"].secret}
    headers = {name: text.format(**tokens) for name, text in headers.items()}
    direct = asked(cast, "jobs", headers)
    assert direct == asked(cast, "jobs/dry-run", headers)
    assert direct == asked(cast, "jobs/batch", headers)
    assert direct[0] in (400, 401, 403)


def test_every_direct_route_is_a_documented_one_with_the_same_endpoint(cast: Cast) -> None:
    app = create_app(cast.federation.runtime)
    documented = {route.path: route.endpoint for route in submit.router.routes if isinstance(route, APIRoute)}
    for path, endpoint in submit.DIRECT.items():
        assert documented[path] is endpoint
        operation = app.openapi()["paths"][API_PREFIX + path]["post"]
        assert operation["security"]
        assert [each["name"] for each in operation["parameters"]] == ["Idempotency-Key"]


def answers_without_routes(cast: Cast, path: str, headers: dict[str, str]) -> httpx.Response:
    """What an application answers that has no route left."""
    app = create_app(cast.federation.runtime)
    app.router.routes.clear()

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://dure") as client:
            return await client.post(path, json=JOB, headers=headers)

    return asyncio.run(ask())


def test_a_direct_route_asks_no_router_and_refuses_in_the_same_words(cast: Cast) -> None:
    token = cast.people["submitter"].secret
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "direct"}
    assert answers_without_routes(cast, f"{API_PREFIX}/jobs", headers).status_code == 201
    assert answers_without_routes(cast, f"{API_PREFIX}/jobs/dry-run", headers).status_code == 404
    unknown = answers_without_routes(cast, f"{API_PREFIX}/jobs", headers | {"Authorization": "Bearer dure_nobody"})
    assert unknown.status_code == 401
    assert (
        unknown.json()["code"] == asked(cast, "jobs/dry-run", headers | {"Authorization": "Bearer dure_nobody"})[1][0]
    )
