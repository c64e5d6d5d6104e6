"""One keep-alive HTTP/1.1 connection with as little of its own as can be: the client shares the server's cores."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping


class Connection:
    """Sends one request after the other. Raises ``ConnectionError`` when the server hangs up."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self._reader = reader
        self._writer = writer
        self._host = host

    @staticmethod
    async def open(host: str, port: int) -> Connection:
        """Connect."""
        reader, writer = await asyncio.open_connection(host, port, limit=1 << 24)
        return Connection(reader, writer, f"{host}:{port}")

    async def ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Send a request; answer its status and body."""
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n{head}\r\n".encode()
            + body
        )
        lines = (await self._reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        status = int(lines[0].split(b" ", 2)[1])
        length = next((int(line[15:]) for line in lines if line[:15].lower() == b"content-length:"), None)
        if length is None:
            raise ConnectionError("an answer came without its length")
        return status, await self._reader.readexactly(length)

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        await self._writer.wait_closed()
