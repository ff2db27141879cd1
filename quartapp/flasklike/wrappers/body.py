"""The body of a request: it arrives in parts, with backpressure and a limit."""

import asyncio
from collections.abc import Generator
from typing import Any

from quart.wrappers import Body as QuartBody
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge, RequestTimeout

from quartapp.flasklike._upstream import running_loop

READ_AHEAD = 64 * 1024
"""Bytes that may wait to be read: enough for a fast upload, and few enough for many requests."""


class Body(QuartBody):
    """What the client sent. Await it for the whole, or iterate over the parts, each of them once.

    Reading raises 413 as soon as it is known, by the announced length or by count, that more than
    `max_content_length` bytes come. It raises 408 after `timeout` seconds of waiting for the
    client. Nothing is raised before something reads. At most `READ_AHEAD` bytes and one message
    wait to be read; while the whole is awaited, at most the limit and one message. After a 413 the
    rest is dropped as it arrives.

    After the response the whole can still be read if it had arrived by then and is not longer than
    `READ_AHEAD`. Otherwise reading raises ClientDisconnected. Reading what has not arrived raises
    RuntimeError in another event loop, such as that of a thread with a copy of the context.
    """

    def __init__(self, expected_content_length: int | None, max_content_length: int | None) -> None:
        super().__init__(None, None)  # without a limit: this class applies it, on reading
        self.max_content_length = max_content_length
        self.timeout: float | None = None
        self.timed_out = False
        self._expected = expected_content_length
        self._received = 0
        self._opened = False
        self._limit: int | None = None
        self._rejected = False
        self._reads_whole = False
        self._abandoned = False
        self._has_room = asyncio.Event()
        self._loop = running_loop()

    @property
    def rejected(self) -> bool:
        """Whether it is known to be too large; the rest may still arrive."""
        return self._rejected

    @property
    def complete(self) -> bool:
        """Whether its last part has arrived."""
        return self._complete.is_set()

    @property
    def is_empty(self) -> bool:
        """Whether nothing of it has arrived."""
        return not self._received

    def make_room(self) -> None:
        """Let everything be appended, as if the whole were awaited."""
        self._reads_whole = True
        self._has_room.set()

    async def wait_for_room(self) -> None:
        """Return when more may be appended. This makes a fast client wait for a slow reader."""
        while (
            not (self._rejected or self._reads_whole or self._abandoned)
            and len(self._data) >= READ_AHEAD
        ):
            self._has_room.clear()
            await self._has_room.wait()

    async def wait_until_complete(self) -> None:
        """Return when the last part has arrived."""
        await self._complete.wait()

    def append(self, data: bytes) -> None:
        self._received += len(data)
        if self._opened and self._limit is not None and self._received > self._limit:
            self._rejected = True
            self.clear()
        if not (self._rejected or self._abandoned):
            self._data.extend(data)
        if data:
            self._has_data.set()

    def abandon(self) -> None:
        """Drop what has not arrived; reading it raises ClientDisconnected.

        It is still taken from the server, which may wait for that before it ends the answer.
        """
        if not self.complete:
            self._abandoned = True
            self.clear()
            self._has_data.set()

    def clear(self) -> None:
        super().clear()
        self._has_room.set()

    def __aiter__(self) -> "Body":
        return self

    async def __anext__(self) -> bytes:
        while True:
            self._check_limit()
            if self._data:
                data = bytes(self._data)
                self.clear()
                return data
            if self.complete:
                raise StopAsyncIteration
            await self._wait_for_data()

    def __await__(self) -> Generator[Any, None, bytes]:
        return self._read().__await__()

    async def _read(self) -> bytes:
        self.make_room()
        self._check_limit()
        while not self.complete:
            await self._wait_for_data()
            self._check_limit()
        return bytes(self._data)

    async def _wait_for_data(self) -> None:
        if running_loop() is not self._loop:  # which nothing would wake
            raise RuntimeError(
                "The body of this request arrives in another event loop. Read it before the thread"
                " starts, with request.form, request.get_json() or request.get_data()."
            )
        self._has_data.clear()
        if self.timeout is None:
            await self._has_data.wait()
            return
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout(self.timeout):
                await self._has_data.wait()
        except TimeoutError as error:
            self.timed_out = True
            raise RequestTimeout from error
        finally:
            self.timeout = max(0.0, self.timeout - (loop.time() - started))

    def open(self) -> None:
        """Fix the limit, because reading begins. Raises 413 if the announced length exceeds it."""
        if self._opened:
            return
        if self.max_content_length is not None and (self._expected or 0) > self.max_content_length:
            self._reject()
        self._opened = True
        self._limit = self.max_content_length

    def _check_limit(self) -> None:
        if self._abandoned:
            raise ClientDisconnected
        self.open()
        if self._rejected or (self._limit is not None and self._received > self._limit):
            self._reject()

    def _reject(self) -> None:
        self._rejected = True
        self.clear()
        raise RequestEntityTooLarge
