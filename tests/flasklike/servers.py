"""Real servers in the test's event loop, and a client that sees every byte."""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from hypercorn.asyncio import serve
from hypercorn.config import Config

SERVER_LOG = "uvicorn.error"  # uvicorn's logger, which Hypercorn is configured to use too

NAMES = ("hypercorn", "uvicorn")


@dataclass
class Answer:
    head: bytes
    body: bytes
    whole: bool
    """Whether the body ended as its framing announced."""

    @property
    def status(self) -> int:
        return int(self.head.split()[1])

    def fields(self, name: str) -> list[str]:
        lines = self.head.decode("latin1").split("\r\n")[1:]
        pairs = [line.split(": ", 1) for line in lines if line]
        return [value for key, value in pairs if key.lower() == name]


@dataclass
class Running:
    port: int
    log: list[logging.LogRecord] = field(default_factory=list)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def send(self, data: bytes) -> Answer:
        """Send raw bytes and read the answer until the connection closes."""
        reader, writer = await self.connect()
        writer.write(data)
        try:
            return await read_answer(reader, head_only=data.startswith(b"HEAD"))
        finally:
            writer.close()

    async def get(self, path: str, method: str = "GET") -> Answer:
        return await self.send(f"{method} {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode())


async def wait_for(condition: Callable[[], object]) -> None:
    """Wait until a condition holds. Raises TimeoutError after a minute."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  # any condition
            await asyncio.sleep(0.01)


async def read_answer(reader: asyncio.StreamReader, head_only: bool = False) -> Answer:
    async with asyncio.timeout(60):
        head = await reader.readuntil(b"\r\n\r\n")
        answer = Answer(head, b"", True)
        if head_only or answer.status in {204, 304}:
            try:  # nothing may follow
                async with asyncio.timeout(0.2):
                    answer.body = await reader.read(1)
            except TimeoutError:
                pass
        elif answer.fields("content-length"):
            length = int(answer.fields("content-length")[0])
            try:
                answer.body = await reader.readexactly(length)
            except asyncio.IncompleteReadError as error:
                answer.body, answer.whole = error.partial, False
        else:
            await _read_chunks(reader, answer)
        return answer


async def _read_chunks(reader: asyncio.StreamReader, answer: Answer) -> None:
    while True:
        try:
            size = int((await reader.readuntil(b"\r\n")).strip(), 16)
            chunk = await reader.readexactly(size + 2)
        except asyncio.IncompleteReadError:
            answer.whole = False
            return
        if size == 0:
            return
        answer.body += chunk[:-2]


@asynccontextmanager
async def running(app: Any, server: str) -> AsyncIterator[Running]:
    """Serve *app*; fails if other tasks than the caller's are left at the end."""
    before = asyncio.all_tasks()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        run = _uvicorn if server == "uvicorn" else _hypercorn
        async with run(app, listener):
            handle = Running(listener.getsockname()[1])
            handler = _Collector(handle.log)
            logger = logging.getLogger(SERVER_LOG)
            logger.addHandler(handler)
            try:
                yield handle
            finally:
                logger.removeHandler(handler)
    await asyncio.sleep(0)
    left = asyncio.all_tasks() - before
    assert not left, f"left behind: {left}"


class _Collector(logging.Handler):
    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__(logging.ERROR)
        self.records = records

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@asynccontextmanager
async def _hypercorn(app: Any, listener: socket.socket) -> AsyncIterator[None]:
    config = Config()
    config.bind = [f"fd://{os.dup(listener.fileno())}"]  # Hypercorn closes it
    config.errorlog = logging.getLogger(SERVER_LOG)
    config.graceful_timeout = 1
    stop = asyncio.Event()
    task = asyncio.create_task(serve(app, config, shutdown_trigger=stop.wait))
    try:
        await _until_up(listener, task)
        yield
    finally:
        stop.set()
        await task


@asynccontextmanager
async def _uvicorn(app: Any, listener: socket.socket) -> AsyncIterator[None]:
    config = uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            if task.done():
                await task
            await asyncio.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        await task


async def _until_up(listener: socket.socket, task: asyncio.Task[None]) -> None:
    while True:
        if task.done():
            await task
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", listener.getsockname()[1])
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return
