"""How a server stops: what a signal begins, how long that may take, and what a second one hurries.

| after the first SIGTERM or SIGINT | happens |
|---|---|
| at once | no new connections; requests in progress go on |
| `grace` seconds | what is still in progress is cut off (`stop_requests` of the application) |
| then, for `grace` seconds at most | the functions that the application runs after serving |
| `longest(grace)` seconds | the process ends, whatever hangs |

A SIGINT after that (a second Ctrl-C) skips the first wait and shortens the last to HURRY seconds. A
second SIGTERM changes nothing: supervisors send it to the workers as well as the master does. A
worker ignores SIGINT, which a terminal sends to all processes at once: its master sends SIGTERM and
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
"""Seconds that requests have to answer when they are cut off."""

HURRY = 2.0
"""Seconds in which a server ends that is hurried."""

SIGHURRY = signal.SIGUSR2
"""With which the master makes a worker hurry."""

EXIT_FAILED = 1


def longest(grace: float) -> float:
    """Seconds after which a server has ended that was asked to."""
    return 2 * grace + PARTING + HURRY


class Stop:
    """The stop of the server in this process. Create it in the loop that serves."""

    def __init__(self, app: Any, grace: float) -> None:
        self.begun = asyncio.Event()
        self.has_started = False
        self._app = app
        self._grace = grace
        self._loop = asyncio.get_running_loop()
        self._main = asyncio.current_task()
        self._timers: list[asyncio.TimerHandle] = []

    def listen(self) -> None:
        """React to signals from now on, and to the death of the master."""
        master = parent_process()
        for name in (signal.SIGTERM, signal.SIGINT if master is None else SIGHURRY):
            if signal.getsignal(name) is not signal.SIG_IGN:
                self._loop.add_signal_handler(name, self._on_signal, name)
        if master is not None:
            self._loop.add_reader(master.sentinel, self._on_orphaned, master.sentinel)

    def end(self) -> None:
        """Forget what would end a server that hangs: it has stopped."""
        for timer in self._timers:
            timer.cancel()

    def _on_signal(self, name: signal.Signals) -> None:
        if not self.begun.is_set():
            self._begin()
        elif name is not signal.SIGTERM:
            self._hurry()

    def _on_orphaned(self, sentinel: int) -> None:
        self._loop.remove_reader(sentinel)  # it stays readable
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
            self._main.cancel()  # a start that hangs
        elif (stop_requests := getattr(self._app, "stop_requests", None)) is not None:
            stop_requests()


def end_process_after(seconds: float, reason: str, app: Any = None) -> None:
    """End this process if it is still there then: for a loop that is blocked, a thread that hangs.

    The reason is logged by the application, if there is one. What reporting has in its journal is
    not lost.
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
    """Have the application log, and so report, what is no failure of a request."""
    logger = getattr(app, "logger", None)
    if logger is not None:
        logger.error(message, *details)
