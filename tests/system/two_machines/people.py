"""The people who use the site while machines are lost: they read, write and meet errors."""

import asyncio
import ssl
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from tests.system.two_machines.ledger import Answer, Ledger
from tests.system.two_machines.services import SITE

PEOPLE = 12
PAUSE = 0.3
PATIENCE = 90.0
PASSWORD = "cat-on-the-mat-4711"


class People:
    """A client of the site, whose posts and pages go into the ledger of the present phase."""

    def __init__(self, folder: Path) -> None:
        context = ssl.create_default_context(cafile=str(folder / "nginx" / "tls" / "fullchain.pem"))
        transport = httpx.AsyncHTTPTransport(
            verify=context, limits=httpx.Limits(max_connections=64)
        )
        self._client = httpx.AsyncClient(
            transport=transport,
            timeout=PATIENCE,
            base_url="https://127.0.0.1",
            headers={"Host": SITE},
        )
        self.ledger = Ledger()
        self._headers: dict[str, str] = {}

    async def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        return await self._client.request(method, path, **more)

    async def enter(self) -> None:
        """Register, and get a token; a machine that has just started may still be too busy."""
        account = {"username": "susan", "email": "susan@example.com", "password": PASSWORD}
        await self._until_201("/api/users", json=account)
        answer = await self._until_201("/api/tokens", auth=("susan", PASSWORD))
        self._headers = {"Authorization": f"Bearer {answer.json()['token']}"}

    async def _until_201(self, path: str, **more: Any) -> httpx.Response:
        for _ in range(20):
            answer = await self.request("POST", path, **more)
            if answer.status_code == 201:
                break
            await asyncio.sleep(2)
        return answer.raise_for_status()

    async def guess(self) -> int:
        """Guess the password of another account; returns the status."""
        auth = ("ada", f"wrong {uuid.uuid4()}")
        return (await self.request("POST", "/api/tokens", auth=auth)).status_code

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Everybody reads and writes within the block; at its end, each has got their answer."""
        self._goes_on = True
        tasks = [asyncio.create_task(self._live()) for _ in range(PEOPLE)]
        tasks.append(asyncio.create_task(self._meet_errors()))
        try:
            yield
        finally:
            self._goes_on = False
            await asyncio.gather(*tasks)

    async def close(self) -> None:
        await self._client.aclose()

    async def _live(self) -> None:
        while self._goes_on:
            await self._read("/")
            await asyncio.sleep(PAUSE)
            text = f"post {uuid.uuid4()}"
            body = {"body": text}
            answer = await self._timed("POST", "/api/posts", json=body)
            self.ledger.posts[text] = answer
            await asyncio.sleep(PAUSE)
            await self._read("/api/posts?per_page=5")
            await asyncio.sleep(PAUSE)

    async def _meet_errors(self) -> None:
        while self._goes_on:
            answer = await self._timed("GET", "/boom")
            self.ledger.errors.append(answer)
            await asyncio.sleep(PAUSE)

    async def _read(self, path: str) -> None:
        answer = await self._timed("GET", path)
        self.ledger.gets.append(answer)  # that of the phase in which the answer came

    async def _timed(self, method: str, path: str, **more: Any) -> Answer:
        began, status, retry_after = time.monotonic(), 0, ""
        with suppress(httpx.TransportError):
            answer = await self.request(method, path, headers=self._headers, **more)
            status, retry_after = answer.status_code, answer.headers.get("Retry-After", "")
        return Answer(status, time.monotonic() - began, retry_after)
