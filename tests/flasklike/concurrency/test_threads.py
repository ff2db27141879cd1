import asyncio
import sys
import threading
from collections.abc import Iterator
from contextvars import ContextVar

import pytest

from quartapp.flasklike.concurrency.threads import in_thread, iterate_in_thread

variable: ContextVar[str] = ContextVar("variable", default="unset")


async def test_runs_in_another_thread_with_the_callers_context() -> None:
    variable.set("caller's")

    def look() -> tuple[bool, str]:
        return threading.current_thread() is threading.main_thread(), variable.get()

    assert await in_thread(look)() == (False, "caller's")


async def test_stop_iteration_arrives_as_runtime_error() -> None:
    async with asyncio.timeout(60):
        with pytest.raises(RuntimeError, match="StopIteration"):
            await in_thread(lambda: next(iter(())))()


async def test_the_handled_exception_is_active_in_the_thread() -> None:
    error = ValueError("handled")
    try:
        raise error
    except ValueError:
        before = error.__traceback__
        assert await in_thread(lambda: sys.exc_info()[1])() is error
        assert error.__traceback__ is before


async def test_a_bare_raise_raises_the_handled_exception() -> None:
    def reraise() -> None:
        raise  # that is the test

    async def handle() -> None:
        try:
            raise ValueError("handled")
        except ValueError:
            await in_thread(reraise)()

    with pytest.raises(ValueError, match="handled"):
        await handle()


async def test_an_error_in_a_handler_has_the_handled_one_as_its_context() -> None:
    def fail() -> None:
        raise KeyError("second")

    async def handle() -> None:
        try:
            raise ValueError("first")
        except ValueError:
            await in_thread(fail)()

    with pytest.raises(KeyError) as raised:
        await handle()
    assert isinstance(raised.value.__context__, ValueError)


async def test_no_exception_is_active_where_none_is_handled() -> None:
    assert await in_thread(sys.exc_info)() == (None, None, None)


@pytest.mark.slow
async def test_cancellation_is_delivered_after_the_thread_has_ended() -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(60)
        ended.set()

    task = asyncio.ensure_future(in_thread(work)())
    await asyncio.to_thread(begun.wait, 60)
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0.05)
        assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_the_error_of_a_cancelled_thread_is_the_cause() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def fail() -> None:
        begun.set()
        go_on.wait(60)
        raise ValueError("after the client left")

    task = asyncio.ensure_future(in_thread(fail)())
    await asyncio.to_thread(begun.wait, 60)
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError) as raised:
        await task
    assert isinstance(raised.value.__cause__, ValueError)


@pytest.mark.parametrize("fails", [False, True])
async def test_a_result_that_reaches_nobody_is_discarded_in_a_thread(fails: bool) -> None:
    begun, go_on, discarding = threading.Event(), threading.Event(), threading.Event()
    discarded: list[tuple[str, str]] = []

    def work() -> str:
        begun.set()
        go_on.wait(60)
        go_on.clear()
        return "result"

    def discard(result: str) -> None:
        discarding.set()
        go_on.wait(60)
        discarded.append((result, variable.get()))
        if fails:
            raise ValueError("while it is discarded")

    variable.set("caller's")
    task = asyncio.ensure_future(in_thread(work, discard)())
    for event in (begun, discarding):
        await asyncio.to_thread(event.wait, 60)
        task.cancel()
        await asyncio.sleep(0)
        go_on.set()
    with pytest.raises(asyncio.CancelledError) as raised:
        await task
    assert discarded == [("result", "caller's")]
    assert isinstance(raised.value.__cause__, ValueError) is fails


async def test_a_result_that_arrives_is_not_discarded() -> None:
    discarded: list[str] = []
    assert await in_thread(lambda: "result", discarded.append)() == "result"
    assert discarded == []


async def test_an_iterator_keeps_its_context_and_is_closed_in_a_thread() -> None:
    closed_in: list[threading.Thread] = []

    def parts() -> Iterator[str]:
        try:
            variable.set("set by a step")
            yield variable.get()
            yield variable.get()
            yield "never"
        finally:
            closed_in.append(threading.current_thread())

    seen = []
    iterator = iterate_in_thread(parts())
    async for part in iterator:
        seen.append(part)
        if len(seen) == 2:
            break
    await iterator.aclose()  # type: ignore[attr-defined]  # an asynchronous generator
    assert seen == ["set by a step", "set by a step"]
    assert len(closed_in) == 1
    assert closed_in[0] is not threading.main_thread()


async def test_an_error_keeps_what_was_handled_when_it_was_raised() -> None:
    def fail() -> None:
        try:
            raise KeyError("inner")
        except KeyError:
            raise OSError("outer")  # noqa: B904  # the context is the point

    async def handle() -> None:
        try:
            raise ValueError("handled by the caller")
        except ValueError:
            await in_thread(fail)()

    with pytest.raises(OSError) as caught:
        await handle()
    context = caught.value.__context__
    assert isinstance(context, KeyError)
    assert isinstance(context.__context__, ValueError)


async def test_an_iterators_error_and_end_arrive() -> None:
    def parts() -> Iterator[str]:
        yield "one"
        raise TimeoutError("its own")

    iterator = iterate_in_thread(parts())
    assert await anext(iterator) == "one"
    with pytest.raises(TimeoutError, match="its own"):
        await anext(iterator)
    assert [part async for part in iterate_in_thread(iter("ab"))] == ["a", "b"]
