import asyncio
import gc
import sys
import threading
import traceback
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import pytest

from quartapp.flasklike.concurrency.awaiting import can_wait, driven, drop, local, stepped, wait
from quartapp.flasklike.wrappers.unread import Unread

variable: ContextVar[str] = ContextVar("variable", default="unset")


async def later(value: Any = "later") -> Any:
    await asyncio.sleep(0)
    return value


async def fail() -> None:
    await asyncio.sleep(0)
    raise ValueError("awaited")


@pytest.fixture
def fresh() -> Iterator[None]:
    """No greenlet is idle before the test."""
    idle, local.idle = local.idle, []
    yield
    local.idle = idle


async def test_waits_in_the_task_and_the_thread_of_the_caller() -> None:
    def work(*values: str) -> Any:
        return [wait(later(value)) for value in values], wait(of_task()), threading.get_ident()

    async def of_task() -> Any:
        return asyncio.current_task()

    expected = ["a", "b"], asyncio.current_task(), threading.get_ident()
    assert await driven(work, "a", "b") == expected


async def test_contextvars_are_shared_in_both_directions() -> None:
    async def change(value: str) -> None:
        await asyncio.sleep(0)
        variable.set(value)

    def work() -> list[str]:
        seen = [variable.get()]
        wait(change("in an awaitable"))
        seen.append(variable.get())
        token = variable.set("in the function")
        wait(later())
        tokens.append(token)
        return [*seen, variable.get()]

    tokens: list[Any] = []
    variable.set("outside")
    assert await driven(work) == ["outside", "in an awaitable", "in the function"]
    assert variable.get() == "in the function"
    variable.reset(tokens[0])
    assert variable.get() == "in an awaitable"


async def test_what_is_awaited_may_drive_again() -> None:
    def outer() -> str:
        inside = wait(driven(inner))
        return f"outer({inside}, {wait(later())})"

    def inner() -> str:
        return f"inner({wait(later())})"

    assert await driven(outer) == "outer(inner(later), later)"


async def test_two_tasks_take_turns() -> None:
    def work(name: str) -> list[str]:
        return [wait(later(f"{name}{number}")) for number in range(3)]

    one, other = await asyncio.gather(driven(work, "a"), driven(work, "b"))
    assert (one, other) == (["a0", "a1", "a2"], ["b0", "b1", "b2"])


async def test_an_error_of_an_awaitable_is_raised_where_it_is_waited_for() -> None:
    def work() -> str:
        try:
            wait(fail())
        except ValueError as error:
            return f"caught {error}, then {wait(later())}"
        return "no error"

    assert await driven(work) == "caught awaited, then later"


async def test_the_traceback_names_the_function_and_what_it_waited_for() -> None:
    def work() -> None:
        wait(fail())

    with pytest.raises(ValueError, match="awaited") as raised:
        await driven(work)
    names = [frame.name for frame in traceback.extract_tb(raised.value.__traceback__)]
    assert names[1:] == ["driven", "work", "wait", "fail"]


async def test_the_handled_exception_is_active_and_no_other_becomes_its_context() -> None:
    def work() -> Any:
        wait(later())
        return sys.exc_info()[1]

    assert await driven(work) is None
    first = KeyError("first")
    try:
        raise first
    except KeyError:
        before = first.__traceback__
        assert await driven(work) is first
        assert first.__traceback__ is before
        with pytest.raises(ValueError, match="awaited") as raised:
            await driven(wait, fail())
    assert raised.value.__context__ is first
    with pytest.raises(ValueError, match="awaited") as raised:
        await driven(wait, fail())
    assert raised.value.__context__ is None


async def test_an_error_keeps_what_was_handled_when_it_was_raised() -> None:
    def work() -> None:
        try:
            wait(fail())
        except ValueError:
            raise LookupError("second") from None

    async def handle() -> None:
        try:
            raise KeyError("first")
        except KeyError:
            await driven(work)

    with pytest.raises(LookupError, match="second") as raised:
        await handle()
    assert isinstance(raised.value.__context__, ValueError)


async def test_a_cancellation_arrives_where_it_is_waited() -> None:
    seen: list[str] = []

    def work() -> None:
        try:
            wait(asyncio.sleep(60))
        except asyncio.CancelledError:
            seen.append(wait(later("cleaned up")))
            raise

    task = asyncio.create_task(driven(work))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cleaned up"]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await driven(wait, asyncio.sleep(60))


@pytest.mark.usefixtures("fresh")
async def test_a_closed_coroutine_ends_its_function_which_can_wait_no_more() -> None:
    seen: list[Any] = []

    def work() -> None:
        try:
            wait(asyncio.sleep(60))
        finally:
            seen.append(can_wait())
            with pytest.raises(RuntimeError, match=r"'later', a coroutine, cannot be awaited here"):
                wait(later())

    coroutine = driven(work)
    coroutine.send(None)
    coroutine.close()
    assert seen == [False]
    assert await driven(can_wait), "the greenlet that was closed is used again"


async def test_nothing_can_wait_outside() -> None:
    assert not can_wait()
    future: asyncio.Future[None] = asyncio.Future()
    with pytest.raises(RuntimeError, match="an awaitable Future cannot be awaited here"):
        wait(future)
    for outside in (asyncio.to_thread(can_wait), driven(wait, of(can_wait))):
        assert not await outside


async def of(function: Callable[[], Any]) -> Any:
    return function()


async def test_a_thread_waits_through_its_bridge() -> None:
    class Bridge:
        def wait(self, awaitable: Awaitable[Any]) -> Any:
            return asyncio.run_coroutine_threadsafe(of_any(awaitable), loop).result()

    async def of_any(awaitable: Awaitable[Any]) -> Any:
        return await awaitable

    def in_thread() -> Any:
        local.bridge = Bridge()
        try:
            waited = can_wait(), wait(later()), asyncio.run(of(can_wait))
            with pytest.raises(RuntimeError, match="cannot be awaited here"):
                asyncio.run(of(lambda: wait(later())))  # in a loop of its own
            return waited
        finally:
            local.bridge = None

    loop = asyncio.get_running_loop()
    assert await asyncio.to_thread(in_thread) == (True, "later", False)


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("failing", [False, True])
async def test_an_idle_greenlet_keeps_nothing_alive(failing: bool) -> None:
    class Value:
        pass

    def work(value: Value) -> Value:
        value.itself = wait(later(value))  # type: ignore[attr-defined]
        del value.itself  # type: ignore[attr-defined]
        if failing:
            raise ValueError(value)
        return value

    variable.set("kept by the context alone")
    value = Value()
    reference = weakref.ref(value)
    gc.disable()
    try:
        if failing:
            with pytest.raises(ValueError, match="Value") as raised:
                await driven(work, value)
            del raised
        else:
            await driven(work, value)
        del value
        assert reference() is None
    finally:
        gc.enable()
    (caller,) = local.idle
    assert caller.gr_context is None


@pytest.mark.usefixtures("fresh")
async def test_greenlets_are_used_again() -> None:
    async def nested(depth: int) -> Any:
        return await driven(wait, nested(depth - 1)) if depth else "bottom"

    assert await nested(70) == "bottom"
    before = list(local.idle)
    assert len(before) == 64
    assert await nested(3) == "bottom"
    assert local.idle == before


async def test_an_asynchronous_iterator_is_closed_in_its_task() -> None:
    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed_in.append(asyncio.current_task())

    def work() -> int:
        iterator = numbers()
        first: int = wait(anext(iterator))
        wait(iterator.aclose())  # type: ignore[attr-defined]
        return first

    closed_in: list[Any] = []
    assert await driven(work) == 1
    assert closed_in == [asyncio.current_task()]


async def test_steps_are_taken_ahead_while_nothing_is_awaited() -> None:
    def items() -> Generator[int]:
        for number in range(100):
            taken.append(number)
            yield number
        taken.append(wait(later("end")))

    taken: list[Any] = []
    ahead = [len(taken) async for _ in stepped(items())]
    assert ahead[:7] == [1, 3, 3, 7, 7, 7, 7]
    assert ahead[60:] == [63, 63, 63] + [95] * 32 + [100] * 5
    assert taken == [*range(100), "end"]


async def test_what_was_taken_is_given_before_anything_is_awaited() -> None:
    def items() -> Generator[Any]:
        yield from range(3)
        yield wait(arrived.wait())

    arrived = asyncio.Event()
    iterator = stepped(items())
    assert [await anext(iterator) for _ in range(3)] == [0, 1, 2]
    arrived.set()
    assert [item async for item in iterator] == [True]


async def test_an_error_of_a_step_comes_after_the_steps_before_it() -> None:
    def items() -> Generator[int]:
        yield from range(5)
        wait(fail())

    iterator = stepped(items())
    assert [await anext(iterator) for _ in range(5)] == [*range(5)]
    with pytest.raises(ValueError, match="awaited") as raised:
        await anext(iterator)
    assert raised.value.__context__ is None


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("number", [1, 2, 3])
async def test_steps_that_are_left_clean_up_in_their_task(number: int) -> None:
    def items() -> Generator[int]:
        try:
            yield 1
            yield 2
            wait(later())
            yield 3
        finally:
            ended.append((wait(later("waited")), wait(of_task())))

    async def of_task() -> Any:
        return asyncio.current_task()

    ended: list[Any] = []
    iterator = stepped(items())
    assert [await anext(iterator) for _ in range(number)] == [1, 2, 3][:number]
    await iterator.aclose()
    assert ended == [("waited", asyncio.current_task())]
    assert len(local.idle) == 1


async def test_steps_see_the_context_of_who_takes_them() -> None:
    def items() -> Generator[str]:
        yield variable.get()
        yield variable.get()
        wait(later())
        yield variable.get()

    async def take(value: str) -> str:
        variable.set(value)
        return await anext(iterator)

    iterator = stepped(items())
    assert [await asyncio.create_task(take(name)) for name in "abc"] == ["a", "b", "c"]


async def test_only_who_asks_may_load_lazily() -> None:
    from sqlalchemy.exc import MissingGreenlet
    from sqlalchemy.util import await_only

    assert await driven(lambda: await_only(later()), lazy_loads=True) == "later"
    with pytest.raises(MissingGreenlet):
        await driven(lambda: await_only(later()))


@dataclass(frozen=True)
class FrozenError(Exception):
    """Its attributes cannot be assigned."""

    text: str


async def test_a_frozen_error_arrives_and_may_be_handled_meanwhile() -> None:
    def fail() -> None:
        raise FrozenError("raised")

    def which() -> BaseException | None:
        return sys.exc_info()[1]

    with pytest.raises(FrozenError, match="raised"):
        await driven(fail)
    error = FrozenError("handled")
    try:
        raise error
    except FrozenError:
        assert await driven(which) is error


async def test_an_awaitable_that_is_dropped_is_closed() -> None:
    async def never() -> None:
        raise AssertionError

    for coroutine in (never(), Unread(never(), "part")):
        drop(coroutine)
        with pytest.raises(RuntimeError, match="cannot reuse"):
            await coroutine
