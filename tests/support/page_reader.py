"""Somebody who reads the portal's pages over an application of the test's own, without a browser."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx
from fastapi import FastAPI


class PageReader:
    """Asks for pages and keeps cookies; follows where a form sends it. A fault is an answer, too."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self.cookies: dict[str, str] = {}

    def get(self, path: str) -> httpx.Response:
        """A page, or a whole stream that ends."""
        return self.request("GET", path)

    def post(self, path: str, data: Mapping[str, str], **headers: str) -> httpx.Response:
        """A form; ``headers`` by their names with _ in the place of -."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("POST", path, data, more)

    def request(
        self, method: str, path: str, data: Mapping[str, str] | None = None, more: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Any request of a reader of English."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Accept-Language": "en", "Accept": "text/html", "Cookie": cookies, **(more or {})}

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://dure", headers=headers) as client:
                return await client.request(method, path, data=data, follow_redirects=True, timeout=30)

        return asyncio.run(send())
