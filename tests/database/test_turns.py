"""Reads in the thread of the event loop leave time to everything else in it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import pytest

from quartapp.database import turns
from quartapp.database.turns import Turns


class Ticker:
    """Counts the passes of the event loop."""

    passes = 0

    async def run(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.passes += 1


@asynccontextmanager
async def ticking() -> AsyncIterator[Ticker]:
    ticker = Ticker()
    running = asyncio.create_task(ticker.run())
    yield ticker
    running.cancel()


def compute(seconds: float) -> None:
    until = monotonic() + seconds
    while monotonic() < until:
        pass


async def queued(
    readers: Turns, *coroutines: Coroutine[Any, Any, None]
) -> list[asyncio.Task[None]]:
    """Tasks that read in a pass whose slice is over; all of them wait."""

    async def first() -> None:
        await readers.take()
        compute(turns.SLICE * 1.1)

    tasks = [asyncio.create_task(each) for each in (first(), *coroutines)]
    await asyncio.sleep(0)
    return tasks


async def test_tasks_that_compute_after_a_read_share_no_pass() -> None:
    order: list[int] = []

    async def page(number: int) -> None:
        await readers.take()
        compute(turns.SLICE * 1.1)
        await readers.take()
        order.append(number)

    readers = Turns()
    async with ticking() as ticker:
        await asyncio.gather(*map(page, range(8)))
    assert ticker.passes >= 16
    assert order == list(range(8))


@pytest.fixture
def order() -> list[int]:
    return []


async def read_three_times(readers: Turns, order: list[int], number: int) -> None:
    for _ in range(3):
        await readers.take()
        order.append(number)


async def test_a_task_keeps_its_turn_in_passes_that_others_make_long(
    order: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy() -> None:
        while True:
            compute(0.012)
            await asyncio.sleep(0)

    monkeypatch.setattr(turns, "SLICE", 0.01)
    readers = Turns()
    computing = asyncio.create_task(busy())
    tasks = await queued(readers, *(read_three_times(readers, order, each) for each in range(3)))
    await asyncio.gather(*tasks)
    computing.cancel()
    assert order == [0, 0, 0, 1, 1, 1, 2, 2, 2]


async def test_who_comes_later_waits_behind_the_queue(
    order: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def with_newcomer(number: int) -> None:
        await read_three_times(readers, order, number)
        newcomers.append(asyncio.create_task(read_three_times(readers, order, number + 10)))

    readers = Turns()
    newcomers: list[asyncio.Task[None]] = []
    tasks = await queued(readers, *map(with_newcomer, range(3)))
    monkeypatch.setattr(turns, "SLICE", 60)
    await asyncio.gather(*tasks)
    await asyncio.gather(*newcomers)
    expected = (0, 1, 2, 10, 11, 12)
    assert order == [each for each in expected for _ in range(3)]


async def test_a_task_that_only_reads_leaves_passes_to_others() -> None:
    readers = Turns()
    async with ticking() as ticker:
        until = monotonic() + 60
        while ticker.passes < 5:
            await readers.take()
            assert monotonic() < until


async def test_reads_within_a_slice_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "SLICE", 60)
    readers = Turns()
    async with ticking() as ticker:
        for _ in range(100):
            await readers.take()
    assert ticker.passes == 0


async def test_a_cancelled_task_does_not_keep_its_turn() -> None:
    readers = Turns()
    _, *waiting, last = await queued(readers, *(readers.take() for _ in range(4)))
    for task in waiting:
        task.cancel()
    async with asyncio.timeout(60):
        await last
    assert [task.cancelled() for task in waiting] == [True, True, True]


def test_another_event_loop_begins_without_those_who_waited() -> None:
    async def read_twice() -> None:
        async with asyncio.timeout(60):
            for _ in range(2):
                await asyncio.gather(*await queued(readers, readers.take()))

    readers = Turns()
    ended = asyncio.new_event_loop()
    tasks = ended.run_until_complete(queued(readers, readers.take(), readers.take()))
    ended.close()
    asyncio.run(read_twice())
    assert not any(task.done() for task in tasks[1:])
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # as intended


async def test_loops_of_two_threads_do_not_wait_for_each_other() -> None:
    def in_another_thread() -> None:
        asyncio.run(asyncio.wait_for(readers.take(), 60))

    readers = Turns()
    tasks = await queued(readers, readers.take())
    thread = threading.Thread(target=in_another_thread)
    thread.start()
    thread.join(60)  # in the same pass, while a task waits
    assert not thread.is_alive()
    assert not tasks[-1].done()
    async with asyncio.timeout(60):
        await asyncio.gather(*tasks)
