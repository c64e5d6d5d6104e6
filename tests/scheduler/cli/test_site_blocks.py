"""`dure site block`: what is asked of the server, and what is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx

SITE = {
    "name": "company-1", "state": "active", "reachable": True, "gpu_classes": [], "nodes": 18, "owner": "o", "csap": "none",
    "trust_domain": None, "heard_at": None, "state_reason": "", "lease_seconds": 30, "block_nodes": {"gb200": 16},
}  # fmt: skip


def test_a_block_is_set_listed_and_cleared_with_a_reason(against: Callable[..., Any]) -> None:
    asked: list[tuple[str, str, Any]] = []

    def respond(request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1/")
        asked.append((request.method, path, json.loads(request.content or b"{}") or dict(request.url.params)))
        return httpx.Response(204) if request.method == "DELETE" else httpx.Response(200, json=SITE)

    words = ("site", "block", "set", "company-1", "--gpu-class", "gb200", "--nodes", "16", "--why", "NVL72")
    assert against(respond, *words).output.split() == ["CLASS", "NODES", "gb200", "16"]
    assert asked[-1] == ("PUT", "sites/company-1/blocks/gb200", {"nodes": 16, "why": "NVL72"})
    assert against(respond, "site", "block", "list", "company-1").output.split()[-2:] == ["gb200", "16"]
    cleared = against(respond, "site", "block", "clear", "company-1", "--gpu-class", "gb200", "--why", "sold")
    assert (cleared.exit_code, cleared.output) == (0, "")
    assert asked[-1] == ("DELETE", "sites/company-1/blocks/gb200", {"why": "sold"})


def test_a_block_has_at_least_one_node_and_a_reason(against: Callable[..., Any]) -> None:
    words = ("site", "block", "set", "company-1", "--gpu-class", "gb200")
    none = against(lambda request: httpx.Response(500), *words, "--nodes", "0", "--why", "NVL72")
    assert none.exit_code == 2
    assert "--nodes" in none.output
    silent = against(lambda request: httpx.Response(500), *words, "--nodes", "16")
    assert silent.exit_code == 2
    assert "--why" in silent.output
