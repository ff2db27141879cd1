"""One writer at a time, in the order in which they asked."""

import asyncio
import threading

import pytest

from quartapp.database.drivers.write_lock import WriteLock


async def test_another_thread_can_give_a_turn_back() -> None:
    lock = WriteLock()
    await lock.acquire()
    waiting = asyncio.create_task(lock.acquire())
    await asyncio.sleep(0)
    thread = threading.Thread(target=lock.release)
    thread.start()
    thread.join()
    await asyncio.wait_for(waiting, 60)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(lock.acquire(), 0.05)  # it is taken
    lock.release()


async def test_a_newcomer_waits_behind_who_came_before() -> None:
    lock, order = WriteLock(), list[str]()

    async def take(name: str) -> None:
        await lock.acquire()
        order.append(name)
        lock.release()

    await lock.acquire()
    first = asyncio.create_task(take("first"))
    await asyncio.sleep(0)
    lock.release()
    await take("newcomer")
    await first
    assert order == ["first", "newcomer"]
