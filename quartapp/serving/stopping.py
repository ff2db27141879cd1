"""How a server stops: the steps after a signal, their time limits, and how a second signal hurries.

| after the first SIGTERM or SIGINT | happens |
|---|---|
| at once | no new connections; requests in progress continue (the application's `begin_stop`) |
| `grace` seconds | requests still in progress are cut off (the application's `stop_requests`) |
| then, for at most `grace` seconds | the application runs its functions after serving |
| `longest(grace)` seconds | the process ends, even if something hangs |

A SIGINT after that (a second Ctrl-C) skips the first wait and shortens the last to HURRY seconds. A
second SIGTERM changes nothing, because both supervisors and the master send it to the workers. A
worker ignores SIGINT, which a terminal sends to all processes at once; its master sends SIGTERM and
SIGHURRY instead.

A process that another one has replaced drains first, for DRAIN seconds: it accepts no connections,
and each response closes its connection. So no connection is closed at the moment when its client
sends the next request, except those that the server closes anyway because they are idle for long.
"""

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from multiprocessing import parent_process
from typing import Any, TypeAlias

PARTING = 1.5
"""Seconds that requests have to answer after they are cut off."""

HURRY = 2.0
"""Seconds within which a hurried server ends."""

DRAIN = 6.0
"""Seconds for which a replaced process drains: all servers close connections idle for 5 s."""

_DRAIN_POLL = 0.1

BRIEF_DRAIN = 0.3
"""Seconds for which a process drains that will be replaced only when it has ended: meanwhile new
connections wait."""

SIGHURRY = signal.SIGUSR2
"""The signal by which the master makes a worker hurry."""

UntilTold: TypeAlias = Callable[[Callable[[], None]], Coroutine[Any, Any, None]]
"""Waits, in each server's `serve`, until the server shall stop. Calls its argument when the server
shall accept no more connections, and close each connection with the next response."""

EXIT_FAILED = 1


def longest(grace: float) -> float:
    """The most seconds from the signal until the server has ended."""
    return 2 * grace + PARTING + HURRY


class Stop:
    """The stop of the server in this process. Create it in the serving loop.

    `told` is set when the process shall accept no more connections, and `begun` when it shall stop:
    later, if it drains.
    """

    def __init__(self, app: Any, grace: float) -> None:
        self.told = asyncio.Event()
        self.begun = asyncio.Event()
        self.has_started = False
        self.signals: list[int] = []
        self._deadlines: list[threading.Timer] = []
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

    async def drain(self, seconds: float, port: int) -> None:
        """Wait until no connection to this port is open, or the stop has begun; then begin it."""
        end = self._loop.time() + seconds
        while not self.begun.is_set() and self._loop.time() < end and _has_connections(port):
            with suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_POLL):
                    await self.begun.wait()
        self.begin()

    def end(self) -> None:
        """Cancel the timers of the loop, because the server has stopped."""
        for timer in self._timers:
            timer.cancel()

    def keep_process(self) -> None:
        """Let the process live on: it has other tasks than to serve."""
        for deadline in self._deadlines:
            deadline.cancel()

    def _on_signal(self, name: signal.Signals) -> None:
        self.signals.append(name)
        if not self.begun.is_set():
            self.begin()
        elif name is not signal.SIGTERM:
            self._hurry()

    def _on_orphaned(self, sentinel: int) -> None:
        self._loop.remove_reader(sentinel)  # it would stay readable
        self.begin()

    def begin(self) -> None:
        """Begin to stop, as at SIGTERM."""
        if not self.begun.is_set():
            self.told.set()
            self.begun.set()
            if (begin_stop := getattr(self._app, "begin_stop", None)) is not None:
                begin_stop()
            self._timers.append(self._loop.call_later(self._grace, self._cut_off))
            seconds = longest(self._grace)
            reason = f"something hangs after {seconds:g} s"
            self._deadlines.append(end_process_after(seconds, reason, self._app))

    def _hurry(self) -> None:
        self.end()
        self._cut_off()
        if self._main is not None:
            self._timers.append(self._loop.call_later(HURRY, self._main.cancel))
        self._deadlines.append(end_process_after(2 * HURRY, "something hangs", self._app))

    def _cut_off(self) -> None:
        if not self.has_started and self._main is not None:
            self._main.cancel()  # the start hangs
        elif (stop_requests := getattr(self._app, "stop_requests", None)) is not None:
            stop_requests()


def _has_connections(port: int) -> bool:
    """Whether this process has connections that were accepted at a port, under any server."""
    try:
        handles = os.listdir("/proc/self/fd")
    except OSError:  # not Linux
        return True
    return any(_is_connection(int(handle), port) for handle in handles)


def _is_connection(handle: int, port: int) -> bool:
    try:
        found = socket.socket(fileno=handle)
    except OSError:  # no socket
        return False
    try:
        is_inet = found.family in (socket.AF_INET, socket.AF_INET6)
        return is_inet and found.getsockname()[1] == port and bool(found.getpeername())
    except OSError:  # a listener, or closed meanwhile
        return False
    finally:
        found.detach()  # it belongs to another object


def accept_no_more(servers: Iterable[asyncio.Server]) -> None:
    """Close servers of asyncio, and serve the connections that they have accepted.

    asyncio accepts a connection in one iteration of the loop and makes its transport in the next,
    which fails if the server is closed between the two: the client's connection is reset.
    """
    loop = asyncio.get_running_loop()
    for server in servers:
        for listener in server.sockets:
            loop.remove_reader(listener.fileno())
        loop.call_soon(server.close)


def end_process_after(seconds: float, reason: str, app: Any = None) -> threading.Timer:
    """Exit with EXIT_FAILED if this process still runs after `seconds`: the loop or a thread hangs.

    Returns the timer, which may be cancelled.

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
    return timer


def log_failure(app: Any, message: str, *details: str) -> None:
    """Log, and thereby report, a failure outside requests with the logger of the application."""
    logger = getattr(app, "logger", None)
    if logger is not None:
        logger.error(message, *details)
