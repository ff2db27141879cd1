import asyncio
import gc
import weakref

import pytest

from quartapp.flasklike.concurrency.deadline import awaited_before


async def test_what_never_waits_starts_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer() -> str:
        return "done"

    monkeypatch.setattr(asyncio.get_running_loop(), "call_at", None)
    assert await awaited_before(asyncio.timeout(60), answer()) == "done"


async def test_what_waits_is_cancelled_in_time() -> None:
    cleaned = []

    async def answer() -> None:
        await asyncio.sleep(0)
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    deadline = asyncio.timeout(0.01)
    with pytest.raises(TimeoutError):
        await awaited_before(deadline, answer())
    assert deadline.expired()
    assert cleaned == [True]


async def test_the_results_and_errors_of_waits_arrive() -> None:
    loop = asyncio.get_running_loop()

    async def answer() -> list[object]:
        first, second = loop.create_future(), loop.create_future()
        loop.call_soon(first.set_result, 1)
        loop.call_soon(second.set_exception, KeyError("two"))
        found: list[object] = [await first]
        try:
            await second
        except KeyError as error:
            found.append(error.args)
        return found

    assert await awaited_before(asyncio.timeout(60), answer()) == [1, ("two",)]


@pytest.mark.parametrize("where", ["before a wait", "after a wait", "of what it waits for"])
async def test_an_error_leaves_no_cycle(where: str) -> None:
    class FoundError(Exception):
        pass

    async def fail() -> None:
        await asyncio.sleep(0)
        raise FoundError

    async def answer() -> None:
        if where == "of what it waits for":
            await asyncio.create_task(fail())
        if where == "after a wait":
            await asyncio.sleep(0)
        raise FoundError

    gc.collect()
    gc.disable()
    try:
        error: FoundError | None = None
        try:
            await awaited_before(asyncio.timeout(60), answer())
        except FoundError as raised:
            error = raised
        assert error is not None
        gone = weakref.ref(error)
        del error
        await asyncio.sleep(0)
        assert gone() is None
    finally:
        gc.enable()


async def test_a_cancellation_from_outside_is_not_a_timeout() -> None:
    deadline = asyncio.timeout(60)
    waiting = asyncio.create_task(awaited_before(deadline, asyncio.sleep(60)))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not deadline.expired()


async def test_closing_it_closes_what_it_awaits() -> None:
    closed = []

    async def answer() -> None:
        try:
            await asyncio.sleep(60)
        except GeneratorExit:
            closed.append(True)
            raise

    whole = awaited_before(asyncio.timeout(None), answer())
    waits_for = whole.send(None)
    whole.close()
    assert closed == [True]
    assert waits_for is not None
