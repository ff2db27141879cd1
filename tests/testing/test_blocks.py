"""Which time of a loop counts as held up: time is made here, as no machine is busy to order."""

import asyncio
import threading

import pytest

from quartapp.testing.strictness import blocks


class Clock:
    """Time, and how long the loop's thread was ready without having a processor."""

    now, waited = 1.0, 0.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(blocks, "monotonic", lambda: clock.now)
    monkeypatch.setattr(blocks, "_scheduled", lambda thread: (0.0, clock.waited))
    return clock


def look(watchdog: blocks.Watchdog, clock: Clock, seconds: float, waited: float = 0.0) -> None:
    """The next look of a watchdog, which finds this thread in the code of a test."""
    loop, thread = watchdog._loop, watchdog._thread
    assert loop is not None
    assert thread is not None
    clock.now += seconds
    clock.waited += waited
    watchdog._look(loop, thread)


@pytest.fixture
async def watchdog(clock: Clock) -> blocks.Watchdog:
    watchdog = blocks.Watchdog()
    watchdog._loop, watchdog._thread = asyncio.get_running_loop(), threading.current_thread()
    watchdog._looked_at = clock.now
    look(watchdog, clock, 0.0)
    return watchdog


async def test_what_sleeps_while_it_could_compute_holds_up_the_loop(
    watchdog: blocks.Watchdog, clock: Clock
) -> None:
    for _ in range(6):
        look(watchdog, clock, 0.02)
    [found] = watchdog.found
    assert "look held up the event loop" in found


async def test_lacking_a_processor_and_then_the_interpreter_does_not_count(
    watchdog: blocks.Watchdog, clock: Clock
) -> None:
    for waited in (0.08, 0.0) * 2:
        look(watchdog, clock, 0.08, waited)
    assert watchdog.found == []


async def test_a_loop_that_has_ended_is_not_blamed_for_what_follows(
    watchdog: blocks.Watchdog, clock: Clock
) -> None:
    loop = watchdog._loop
    assert loop is not None
    watchdog._loop = None
    clock.now += 0.2
    for _ in range(6):
        clock.now += 0.02
        watchdog._look(loop, threading.current_thread())
    assert watchdog.found == []
