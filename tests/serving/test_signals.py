"""What SIGUSR1 and SIGQUIT do in a process that serves."""

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio
from quart import Quart

from quartapp.serving import signals, stacks

SECRET = "canary-in-a-local-variable"


@pytest.fixture
def kept_handlers() -> Iterator[None]:
    kept = {number: signal.getsignal(number) for number in signals.PASSED_ON}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest_asyncio.fixture
async def app(kept_handlers: None) -> AsyncIterator[Quart]:
    app = Quart("quartapp.test_signals")
    signals.listen(app, asyncio.get_running_loop())
    yield app
    asyncio.get_running_loop().remove_signal_handler(signal.SIGUSR1)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  # any condition
            await asyncio.sleep(0.005)


async def test_functions_are_called_in_their_order(app: Quart) -> None:
    called: list[str] = []
    signals.on_signal(app, signal.SIGUSR1, lambda: called.append("first"))
    signals.on_signal(app, signal.SIGUSR1, lambda: called.append("second"))
    os.kill(os.getpid(), signal.SIGUSR1)
    await until(lambda: len(called) == 2)
    assert called == ["first", "second"]


async def test_a_function_that_raises_stops_neither_the_others_nor_the_server(app: Quart) -> None:
    called: list[str] = []
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: failures.append(context["exception"])
    )
    error = RuntimeError("cannot reopen")

    def fail() -> None:
        raise error

    signals.on_signal(app, signal.SIGUSR1, fail)
    signals.on_signal(app, signal.SIGUSR1, lambda: called.append("second"))
    os.kill(os.getpid(), signal.SIGUSR1)
    await until(lambda: called)
    assert failures == [error]


async def test_without_a_function_the_process_goes_on(app: Quart) -> None:
    os.kill(os.getpid(), signal.SIGUSR1)
    await asyncio.sleep(0)
    assert signal.getsignal(signal.SIGUSR1) is not signal.SIG_DFL


def test_signals_of_the_server_are_not_for_applications() -> None:
    with pytest.raises(ValueError, match="SIGTERM is not a signal for applications"):
        signals.on_signal(Quart("shop"), signal.SIGTERM, print)


async def waits_here() -> None:
    secret = SECRET
    await asyncio.sleep(60)
    print(secret)


async def outer() -> None:
    await waits_here()


async def test_sigquit_logs_where_tasks_and_threads_are(
    app: Quart, caplog: pytest.LogCaptureFixture
) -> None:
    released = threading.Event()
    thread = threading.Thread(target=released.wait, name="a thread that waits")
    thread.start()
    tasks = [asyncio.create_task(outer()) for _ in range(3)]
    try:
        await asyncio.sleep(0)
        with caplog.at_level(logging.WARNING):
            os.kill(os.getpid(), signal.SIGQUIT)
            await until(lambda: caplog.messages)
    finally:
        released.set()
        thread.join()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    [said] = caplog.messages
    assert said.startswith(f"The stacks of process {os.getpid()}, for SIGQUIT:\n")
    assert "Thread a thread that waits:" in said
    together = said.partition("3 tasks:")[2]
    assert together.index(" in outer") < together.index(" in waits_here") < together.index("sleep")
    assert SECRET not in said


@pytest.mark.slow
def test_sigquit_interrupts_code_that_blocks(
    kept_handlers: None, caplog: pytest.LogCaptureFixture
) -> None:
    stacks.write_at_signal(None, None)
    threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGQUIT)).start()
    time.sleep(0.1)
    assert "in test_sigquit_interrupts_code_that_blocks" in caplog.text


async def test_many_stacks_and_deep_ones_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    async def dive(depth: int) -> None:
        await (dive(depth - 1) if depth else asyncio.sleep(60))

    task = asyncio.create_task(dive(100))
    await asyncio.sleep(0)
    try:
        said = stacks.describe(asyncio.get_running_loop())
        assert "  [62 more]\n" in said
        monkeypatch.setattr(stacks, "LONGEST", 200)
        said = stacks.describe(asyncio.get_running_loop())
        assert len(said) < 250
        assert said.endswith("\n[the rest is cut off]")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
