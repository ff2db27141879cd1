"""A slow route takes a part of the pool, and waits in its own queue."""

import asyncio
from typing import cast

import pytest
from sqlalchemy.exc import TimeoutError as DatabaseTimeoutError
from sqlalchemy.pool import QueuePool

from quartapp.database import DatabaseEngine
from quartapp.database.drivers.shares import Shares
from quartapp.database.errors import DatabaseQueueFullError
from quartapp.database.request import current_database
from quartapp.flasklike import App


async def take(shares: Shares, share: str, order: list[str]) -> None:
    if not shares.take(share):
        await shares.wait(share, 30)
    order.append(share)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_routes_take_turns_and_the_first_of_each_comes_first() -> None:
    shares, order = Shares(1, 10), ["slow"]
    assert shares.take("slow")
    names = ["slow", "slow", "slow", "other", "third"]
    tasks = [asyncio.create_task(take(shares, name, order)) for name in names]
    await settle()
    for number in range(5):
        shares.give_back(order[number])
        await settle()
    assert order == ["slow", "slow", "other", "third", "slow", "slow"]
    await asyncio.gather(*tasks)


async def test_no_route_gets_all_connections() -> None:
    shares, order = Shares(10, 100), list[str]()
    tasks = [asyncio.create_task(take(shares, "slow", order)) for _ in range(20)]
    await settle()
    assert order == ["slow"] * 8
    assert shares.take("other")
    assert shares.take("third")
    assert not shares.take("other")
    shares.give_back("other")
    await settle()
    assert order == ["slow"] * 8, "what is left is kept for others"
    for _ in range(20):
        shares.give_back("slow")
        await settle()
    await asyncio.gather(*tasks)


async def test_a_small_pool_is_not_divided() -> None:
    shares = Shares(2, 10)
    assert shares.take("a")
    assert shares.take("a")
    assert not shares.take("b")


async def test_the_queue_of_a_route_is_limited_and_others_may_wait() -> None:
    shares, order = Shares(1, 1), list[str]()
    assert shares.take("slow")
    waiting = [asyncio.create_task(take(shares, name, order)) for name in ("slow", "other")]
    await settle()
    with pytest.raises(DatabaseQueueFullError):
        await shares.wait("slow", 30)
    assert (shares.waiting, shares.refused) == (2, 1)
    for _ in range(2):
        shares.give_back("slow")
        await settle()
    await asyncio.gather(*waiting)


async def test_waiting_ends_in_time_and_leaves_nothing() -> None:
    shares = Shares(1, 1)
    assert shares.take("slow")
    for _ in range(3):
        with pytest.raises(DatabaseTimeoutError):
            await shares.wait("slow", 0.01)
    assert (shares.waiting, shares.timeouts) == (0, 3)
    shares.give_back("slow")
    assert shares.take("slow")


async def test_a_turn_that_comes_with_a_cancellation_goes_to_the_next() -> None:
    shares, order = Shares(1, 10), list[str]()
    assert shares.take("slow")
    leaving, staying = (asyncio.create_task(take(shares, "slow", order)) for _ in range(2))
    await settle()
    shares.give_back("slow")
    leaving.cancel()
    await asyncio.wait([leaving])
    await settle()
    assert order == ["slow"]
    await staying


async def test_requests_of_a_slow_route_leave_connections_to_others(
    each_database_url: str,
) -> None:
    database = DatabaseEngine(each_database_url, pool_size=5)
    app, go_on = App("shop"), asyncio.Event()
    app.extensions["database"] = database

    async def slow() -> str:
        async with current_database().engine.connect():
            await go_on.wait()
        return "slow"

    async def quick() -> str:
        async with current_database().engine.connect():
            return "quick"

    app.add_url_rule("/slow", view_func=slow)
    app.add_url_rule("/quick", view_func=quick)
    pool = cast(QueuePool, database.engine.sync_engine.pool)
    waiting = [asyncio.create_task(app.test_client().get("/slow")) for _ in range(8)]
    async with asyncio.timeout(60):
        while pool.checkedout() < 4:  # noqa: ASYNC110 no event
            await asyncio.sleep(0.01)
        assert (await app.test_client().get("/quick")).status_code == 200
    assert pool.checkedout() == 4
    go_on.set()
    await asyncio.gather(*waiting)
    assert pool.checkedout() == 0
    await database.dispose()
