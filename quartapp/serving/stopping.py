"""How a server stops: the steps after a signal, their time limits, and how a second signal hurries.

| after the first SIGTERM or SIGINT | happens |
|---|---|
| at once | no new connections; requests in progress continue |
| `grace` seconds | requests still in progress are cut off (the application's `stop_requests`) |
| then, for at most `grace` seconds | the application runs its functions after serving |
| `longest(grace)` seconds | the process ends, even if something hangs |

A SIGINT after that (a second Ctrl-C) skips the first wait and shortens the last to HURRY seconds. A
second SIGTERM changes nothing, because both supervisors and the master send it to the workers. A
worker ignores SIGINT, which a terminal sends to all processes at once; its master sends SIGTERM and
SIGHURRY instead.
"""

import asyncio
import os
import signal
import sys
import threading
from multiprocessing import parent_process
from typing import Any

PARTING = 1.5
"""Seconds that requests have to answer after they are cut off."""

HURRY = 2.0
"""Seconds within which a hurried server ends."""

SIGHURRY = signal.SIGUSR2
"""The signal by which the master makes a worker hurry."""

EXIT_FAILED = 1


def longest(grace: float) -> float:
    """The most seconds from the signal until the server has ended."""
    return 2 * grace + PARTING + HURRY


class Stop:
    """The stop of the server in this process. Create it in the serving loop."""

    def __init__(self, app: Any, grace: float) -> None:
        self.begun = asyncio.Event()
        self.has_started = False
        self._app = app
        self._grace = grace
        self._loop = asyncio.get_running_loop()
        self._main = asyncio.current_task()
        self._timers: list[asyncio.TimerHandle] = []

    def listen(self) -> None:
        """Handle signals and the death of the master from now on."""
        master = parent_process()
        for name in (signal.SIGTERM, signal.SIGINT if master is None else SIGHURRY):
            if signal.getsignal(name) is not signal.SIG_IGN:
                self._loop.add_signal_handler(name, self._on_signal, name)
        if master is not None:
            self._loop.add_reader(master.sentinel, self._on_orphaned, master.sentinel)

    def end(self) -> None:
        """Cancel the timers of the loop, because the server has stopped."""
        for timer in self._timers:
            timer.cancel()

    def _on_signal(self, name: signal.Signals) -> None:
        if not self.begun.is_set():
            self._begin()
        elif name is not signal.SIGTERM:
            self._hurry()

    def _on_orphaned(self, sentinel: int) -> None:
        self._loop.remove_reader(sentinel)  # it would stay readable
        self._begin()

    def _begin(self) -> None:
        if not self.begun.is_set():
            self.begun.set()
            self._timers.append(self._loop.call_later(self._grace, self._cut_off))
            seconds = longest(self._grace)
            end_process_after(seconds, f"something hangs after {seconds:g} s", self._app)

    def _hurry(self) -> None:
        self.end()
        self._cut_off()
        if self._main is not None:
            self._timers.append(self._loop.call_later(HURRY, self._main.cancel))
        end_process_after(2 * HURRY, "something hangs", self._app)

    def _cut_off(self) -> None:
        if not self.has_started and self._main is not None:
            self._main.cancel()  # the start hangs
        elif (stop_requests := getattr(self._app, "stop_requests", None)) is not None:
            stop_requests()


def end_process_after(seconds: float, reason: str, app: Any = None) -> None:
    """Exit with EXIT_FAILED if this process still runs after `seconds`: the loop or a thread hangs.

    A daemon thread waits, and the application, if there is one, logs the reason. What is in the
    journal of reporting is not lost.
    """

    def give_up() -> None:
        log_failure(app, f"The application did not stop cleanly: {reason}")
        sys.stderr.write(f"quartapp: the application did not stop cleanly: {reason}\n")
        sys.stderr.flush()
        os._exit(EXIT_FAILED)

    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()


def log_failure(app: Any, message: str, *details: str) -> None:
    """Log, and thereby report, a failure outside requests with the logger of the application."""
    logger = getattr(app, "logger", None)
    if logger is not None:
        logger.error(message, *details)
