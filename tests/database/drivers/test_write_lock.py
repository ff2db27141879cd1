"""Turns to write."""

import asyncio
import threading

import pytest

from quartapp.database.drivers.write_lock import Turns


async def test_another_thread_can_give_a_turn_back() -> None:
    turns = Turns()
    await turns.take()
    waiting = asyncio.create_task(turns.take())
    await asyncio.sleep(0)
    thread = threading.Thread(target=turns.give_back)
    thread.start()
    thread.join()
    await asyncio.wait_for(waiting, 60)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(turns.take(), 0.05)  # it is taken
    turns.give_back()


async def test_a_newcomer_waits_behind_who_came_before() -> None:
    turns, order = Turns(), list[str]()

    async def take(name: str) -> None:
        await turns.take()
        order.append(name)
        turns.give_back()

    await turns.take()
    first = asyncio.create_task(take("first"))
    await asyncio.sleep(0)
    turns.give_back()
    await take("newcomer")
    await first
    assert order == ["first", "newcomer"]
