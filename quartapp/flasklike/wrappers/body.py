"""The body of a request: arriving in parts, with backpressure, counted against its limit."""

import asyncio
from collections.abc import Generator
from typing import Any

from quart.wrappers import Body as QuartBody
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge, RequestTimeout

# What may wait unread: enough to keep a fast upload flowing, little enough to let many wait.
READ_AHEAD = 64 * 1024


class Body(QuartBody):
    """What the client sent, to be awaited whole or iterated in parts; each part is given out once.

    Reading raises 413 as soon as more than `max_content_length` bytes are known to come, by their
    announcement or by count, and 408 after `timeout` seconds spent waiting for the client; nothing
    is raised before something reads. Both are also in force for a body that is iterated. At most
    `READ_AHEAD` bytes and one message wait unread, unless the whole is awaited; then no more than
    the limit and one message. What comes after a 413 is thrown away as it arrives.
    """

    def __init__(self, expected_content_length: int | None, max_content_length: int | None) -> None:
        super().__init__(None, None)  # the limit is judged here, when something reads
        self.max_content_length = max_content_length
        self.timeout: float | None = None
        self.timed_out = False
        self._expected = expected_content_length
        self._received = 0
        self._opened = False
        self._limit: int | None = None
        self._rejected = False
        self._whole = False
        self._lost = False
        self._room = asyncio.Event()

    @property
    def rejected(self) -> bool:
        """Whether it was found to be too large, while possibly still arriving."""
        return self._rejected

    @property
    def complete(self) -> bool:
        """Whether its last part has arrived."""
        return self._complete.is_set()

    async def room(self) -> None:
        """Return when more may be appended: what makes a fast client wait for a slow reader."""
        while not (self._rejected or self._whole or self._lost) and len(self._data) >= READ_AHEAD:
            self._room.clear()
            await self._room.wait()

    async def ended(self) -> None:
        """Return when the last part has arrived."""
        await self._complete.wait()

    def append(self, data: bytes) -> None:
        self._received += len(data)
        if self._opened and self._limit is not None and self._received > self._limit:
            self._rejected = True
            self.clear()
        if not (self._rejected or self._lost):
            self._data.extend(data)
        if data:
            self._has_data.set()

    def abandon(self) -> None:
        """Throw away what has not arrived yet; reading it then raises ClientDisconnected.

        A server may wait to hand over the rest before it lets an answer end.
        """
        if not self.complete:
            self._lost = True
            self.clear()
            self._has_data.set()

    def clear(self) -> None:
        super().clear()
        self._room.set()

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
            await self._more()

    def __await__(self) -> Generator[Any, None, bytes]:
        return self._read().__await__()

    async def _read(self) -> bytes:
        self._whole = True
        self._room.set()
        self._check_limit()
        while not self.complete:
            await self._more()
            self._check_limit()
        return bytes(self._data)

    async def _more(self) -> None:
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
        """Begin to read: from now on the limit is fixed. 413 if the announced length exceeds it."""
        if self._opened:
            return
        if self.max_content_length is not None and (self._expected or 0) > self.max_content_length:
            self._reject()
        self._opened = True
        self._limit = self.max_content_length

    def _check_limit(self) -> None:
        if self._lost:
            raise ClientDisconnected
        self.open()
        if self._rejected or (self._limit is not None and self._received > self._limit):
            self._reject()

    def _reject(self) -> None:
        self._rejected = True
        self.clear()
        raise RequestEntityTooLarge
