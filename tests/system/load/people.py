"""People who use the microblog without a pause, and what became of their requests."""

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field

PATIENCE = 30.0
"""Seconds after which a request without an answer counts as hanging."""

PAGES = ("/", "/explore", "/login", "/user/susan", "/static/app.css", "/nowhere", "/health")
POSTS, ERRORS = 0.05, 0.01
_TOKEN = "Authorization: Bearer {}\r\n"
_WAIT = 0.05
"""Seconds before a connection that was refused, or closed without an answer, is opened again."""


@dataclass
class Traffic:
    """What was sent and answered, by all people together."""

    answers: Counter[int] = field(default_factory=Counter)
    unexpected: Counter[str] = field(default_factory=Counter)
    posts: set[str] = field(default_factory=set)
    """The texts of the posts that were acknowledged."""
    unpublished: set[str] = field(default_factory=set)
    """The texts of the posts that were answered otherwise, as with 503."""
    errors: int = 0
    """Answers of 500, and of 503 with a reference: each has an error that must be counted."""
    perhaps: int = 0
    """Requests for an error that got no answer, as at the restart: it was counted or not."""
    busy: int = 0
    """Answers of 503 with Retry-After."""
    closed: int = 0
    """Connections that ended before the answer."""
    hanging: int = 0
    is_restarting: bool = False
    is_over: bool = False

    def note(self, method: str, path: str, status: int, head: bytes, body: bytes) -> None:
        self.answers[status] += 1
        expected = {"/boom": 500, "/nowhere": 404}.get(path, 201 if method == "POST" else 200)
        if status == 500 or (status == 503 and b"reference" in body):
            self.errors += 1
        if status == 503 and b"\r\nretry-after:" in head.lower():
            self.busy += 1
        elif status != expected:
            self.unexpected[f"{status} for {method} {path}"] += 1


class Person:
    """Somebody with one connection, kept open as browsers do."""

    def __init__(self, number: int, token: str, traffic: Traffic) -> None:
        self.random = random.Random(number)
        self.name = f"person{number}"
        self.token = token
        self.traffic = traffic
        self.posted = 0
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def act_until_over(self, host: str, port: int) -> None:
        while not self.traffic.is_over:
            await self.act(host, port)
        self.leave()

    async def act(self, host: str, port: int) -> None:
        """Send one request and read its answer; a failure of the connection is noted."""
        dice = self.random.random()
        method, path, body = "GET", self.random.choice(PAGES), b""
        text = ""
        if dice < ERRORS:
            path = "/boom"
        elif dice < ERRORS + POSTS:
            self.posted += 1
            text = f"{self.name} says {self.posted}"
            method, path, body = "POST", "/api/posts", json.dumps({"body": text}).encode()
        try:
            async with asyncio.timeout(PATIENCE):
                status, head, answer = await self._ask(host, port, method, path, body)
        except TimeoutError:
            self.traffic.hanging += 1
            self.traffic.perhaps += path == "/boom"
            self.leave()
            return
        except (OSError, asyncio.IncompleteReadError, ValueError):
            self.traffic.closed += not self.traffic.is_restarting
            self.traffic.perhaps += path == "/boom"
            self.leave()
            await asyncio.sleep(_WAIT)
            return
        if text:
            posts = self.traffic.posts if status == 201 else self.traffic.unpublished
            posts.add(text)
        self.traffic.note(method, path, status, head, answer)
        if b"\r\nconnection: close" in head.lower():
            self.leave()

    def leave(self) -> None:
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None

    async def _ask(
        self, host: str, port: int, method: str, path: str, body: bytes
    ) -> tuple[int, bytes, bytes]:
        if self.reader is None or self.writer is None:
            self.reader, self.writer = await asyncio.open_connection(host, port)
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
        if body:
            head += _TOKEN.format(self.token)
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self.writer.write(head.encode() + b"\r\n" + body)
        answer = await self.reader.readuntil(b"\r\n\r\n")
        length = answer.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
        content = await self.reader.readexactly(int(length))
        return int(answer.split(None, 2)[1]), answer, content
