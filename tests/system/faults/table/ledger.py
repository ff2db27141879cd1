"""What clients sent, and what became of it."""

import asyncio
import re
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from tests.system.faults.processor import queued

PATIENCE = 40.0
"""Seconds after which a request without an answer counts as hanging."""

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_REFERENCE = re.compile(rb'"reference"')
"""In the page and in the JSON of an error that is recorded."""

REFUSED, CUT, HANGING, EMPTY = "refused", "cut", "hanging", "500 without a page"


@dataclass
class Ledger:
    """The requests of one row, and their answers."""

    sent: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    posts: dict[str, bool] = field(default_factory=dict)
    """The texts that were sent, and whether they were acknowledged."""
    recorded: int = 0
    """Answers whose errors have to be counted: each 500, and each 5xx that has a reference."""
    perhaps: int = 0
    """Requests whose errors may have been counted: other 5xx, and those without an answer."""
    pings: list[float] = field(default_factory=list)
    """Seconds that each answer to a ping took while the fault lasted, without those for which these
    clients had no processor."""
    pings_failed: int = 0

    @property
    def acknowledged(self) -> set[str]:
        return {text for text, is_acknowledged in self.posts.items() if is_acknowledged}

    def note(self, status: int, body: bytes) -> None:
        """An answer that arrived."""
        is_empty = status == 500 and not body
        self.answers[EMPTY if is_empty else str(status)] += 1
        if status == 500 or (status > 500 and _REFERENCE.search(body)):
            self.recorded += 1
        elif status > 500:
            self.perhaps += 1


@dataclass
class Server:
    """Where requests go, and the ledger that notes them."""

    host: str
    port: int
    ledger: Ledger

    async def ask(
        self, path: str, method: str = "GET", head: str = "", body: bytes = b""
    ) -> int | str:
        """The status of the answer, or why there is none."""
        self.ledger.sent += 1
        try:
            async with asyncio.timeout(PATIENCE):
                status, page = await self._exchange(path, method, head, body)
        except ConnectionRefusedError:
            outcome = REFUSED
        except TimeoutError:
            outcome = HANGING
        except (OSError, EOFError):
            outcome = CUT
        else:
            self.ledger.note(status, page)
            return status
        self.ledger.answers[outcome] += 1
        self.ledger.perhaps += outcome != REFUSED
        return outcome

    async def _exchange(self, path: str, method: str, head: str, body: bytes) -> tuple[int, bytes]:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            length = f"Content-Length: {len(body)}\r\n" if body else ""
            start = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            writer.write(f"{start}{head}{length}\r\n".encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            found, stated = _STATUS.match(answer), _LENGTH.search(answer)
            if found is None:
                raise EOFError(answer)
            page = await reader.readexactly(int(stated[1])) if stated else await reader.read()
            return int(found[1]), page
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def ping(self) -> None:
        began = time.monotonic() - queued()
        if await self.ask("/ping") == 200:
            self.ledger.pings.append(time.monotonic() - queued() - began)
        else:
            self.ledger.pings_failed += 1
