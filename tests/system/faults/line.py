"""A proxy for PostgreSQL that can be cut: for any time, or in the middle of a COMMIT."""

import asyncio
import random
from contextlib import suppress

from sqlalchemy.engine import URL


class Line:
    """A TCP proxy on its own port. It cuts `share` of all COMMITs: half of them before they reach
    the server, half before its answer reaches the client. `commits_cut` counts them. While
    `is_open` is not set, nothing is forwarded and no connection ends."""

    def __init__(self, url: URL) -> None:
        self.share = 0.0
        self.commits_cut = 0
        self.is_open = asyncio.Event()
        self.is_open.set()
        self._far = (url.host or "127.0.0.1", url.port or 5432)
        self._port = 0
        self._server: asyncio.Server | None = None
        self._calls: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen; after `cut`, on the same port again."""
        self._server = await asyncio.start_server(self._call, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """End all connections, and refuse new ones."""
        if self._server is not None:
            self._server.close()
        for call in list(self._calls):
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    def leads_to(self, url: URL) -> str:
        """The address of a database through this proxy."""
        near = url.set(host="127.0.0.1", port=self._port)
        return near.render_as_string(hide_password=False)

    async def _call(self, near: asyncio.StreamReader, to_near: asyncio.StreamWriter) -> None:
        call = asyncio.current_task()
        assert call is not None
        self._calls.add(call)
        far, to_far = await asyncio.open_connection(*self._far)
        deaf = asyncio.Event()
        pumps = [
            asyncio.create_task(self._ask(near, to_far, deaf)),
            asyncio.create_task(self._answer(far, to_near, deaf)),
        ]
        try:
            with suppress(asyncio.CancelledError):
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            to_near.transport.abort()
            to_far.transport.abort()
            self._calls.discard(call)

    async def _ask(
        self, near: asyncio.StreamReader, to_far: asyncio.StreamWriter, deaf: asyncio.Event
    ) -> None:
        while data := await near.read(65536):
            if b"COMMIT" in data and random.random() < self.share:
                self.commits_cut += 1
                if random.random() < 0.5:
                    return
                deaf.set()
            await self.is_open.wait()
            to_far.write(data)

    async def _answer(
        self, far: asyncio.StreamReader, to_near: asyncio.StreamWriter, deaf: asyncio.Event
    ) -> None:
        while data := await far.read(65536):
            if deaf.is_set():
                return
            await self.is_open.wait()
            to_near.write(data)
