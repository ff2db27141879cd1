"""Counters: bounded in memory, and what happens while Redis is away."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from quartapp.throttling import counters
from quartapp.throttling.counters import Counters, MemoryCounters
from quartapp.throttling.redis_counters import RedisCounters
from tests.conftest import REDIS
from tests.costs import TOLERATED, growth


async def test_the_number_of_counters_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "MOST_COUNTERS", 3000)
    memory = MemoryCounters()
    for number in range(20_000):
        await memory.incr(f"key {number}", 60)
        assert memory.size <= 3000
    assert await memory.get("key 19999") == 1
    assert await memory.get("key 0") == 0


async def test_counters_that_have_expired_are_forgotten() -> None:
    now = 0.0
    memory = MemoryCounters(lambda: now)
    for number in range(20_000):
        now = float(number)
        await memory.incr(f"key {number}", 10)
    assert memory.size <= 1000


async def test_a_hit_costs_the_same_whatever_is_counted() -> None:
    async def hits(number: int) -> None:
        memory = MemoryCounters()
        for key in range(number):
            await memory.incr(str(key), 60)

    assert await growth(hits, 5000) < TOLERATED


class Relay:
    """A way to Redis that swallows everything while it is silent."""

    is_silent = False
    port = 0

    @asynccontextmanager
    async def serve(self) -> AsyncIterator["Relay"]:
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = urlsplit(REDIS)
        there = await asyncio.open_connection(address.hostname, address.port)
        await asyncio.gather(self._pass(reader, there[1]), self._pass(there[0], writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(10_000):
            if not self.is_silent:
                writer.write(data)
        writer.close()


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "PATIENCE", 0.2)
    monkeypatch.setattr(counters, "RETRY", 0.3)


@pytest.mark.slow
@pytest.mark.usefixtures("_impatient")
async def test_without_redis_each_process_counts_and_it_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    both = Counters(RedisCounters("redis://:hunter2-canary@127.0.0.1:1/0"))
    assert [await both.incr("key", 60) for _ in range(3)] == [1, 2, 3]
    await asyncio.sleep(0.35)
    assert await both.incr("key", 60) == 4
    assert both.is_away
    assert 55 < await both.seconds_left("key") <= 60
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith("Redis does not answer, so each process counts")
    assert "hunter2-canary" not in caplog.text
    await both.close()


@pytest.mark.slow
@pytest.mark.redis
@pytest.mark.usefixtures("_impatient")
async def test_redis_that_is_silent_delays_one_request_and_is_used_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    key = f"key {time.monotonic_ns()}"
    async with Relay().serve() as relay:
        both = Counters(RedisCounters(f"redis://127.0.0.1:{relay.port}/0"))
        assert await both.incr(key, 60) == 1
        relay.is_silent = True
        assert await both.incr(key, 60) == 1, "this process has not counted it yet"
        begin = time.perf_counter()
        for _ in range(100):
            await both.incr(key, 60)
        # A millisecond; to wait for Redis each time would take 20 s.
        assert time.perf_counter() - begin < 5
        relay.is_silent = False
        async with asyncio.timeout(60):
            while both.is_away:
                await asyncio.sleep(0.05)
                counted = await both.incr(key, 60)
        assert 2 <= counted < 100, "what this process counted was more"
        assert not both.is_away
        await both.close()
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]
