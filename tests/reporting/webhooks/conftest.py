"""A real server that takes webhooks, and can be made to misbehave."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from quartapp.reporting.endpoint import Endpoint

OK = b"HTTP/1.1 204 No Content\r\n\r\n"

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Hook:
    """`requests` are what came: the line, the header fields, the body. `answer` is written, or
    called with the connection."""

    answer: bytes | Answer = OK
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0
    connections: int = 0

    @property
    def posted(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, _, body in self.requests]

    def endpoint(self, **more: Any) -> Endpoint:
        url = f"http://127.0.0.1:{self.port}/services/T0/B0/canary-of-the-path"
        return Endpoint.of(url, **{"allows_private": True, **more})

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self.take(reader, writer)
        finally:
            writer.close()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            fields = {
                name.lower(): value
                for name, _, value in (line.partition(": ") for line in head[1:])
            }
            body = await reader.readexactly(int(fields["content-length"]))
            self.requests.append((head[0], fields, body))
            if callable(self.answer):
                await self.answer(writer)
            else:
                writer.write(self.answer)
                await writer.drain()


@contextlib.asynccontextmanager
async def serving(hook: Hook, context: ssl.SSLContext | None = None) -> AsyncIterator[Hook]:
    tasks: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(hook.handle(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(begin, "127.0.0.1", 0, ssl=context)
    hook.port = server.sockets[0].getsockname()[1]
    try:
        yield hook
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    async with serving(Hook()) as made:
        yield made
