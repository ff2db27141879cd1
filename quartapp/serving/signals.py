"""Signals by which an operator asks the processes of a server for something, while they serve.

SIGUSR1 calls the functions that the application registered with `on_signal`, and SIGQUIT writes
stacks to the log (`stacks`). Both are sent to the master, which passes them on to each worker that
has started.
"""

import asyncio
import signal
from collections.abc import Callable
from typing import Any

from quartapp.serving import stacks

PASSED_ON = (signal.SIGUSR1, signal.SIGQUIT)
"""The signals that the master passes on to its workers."""

_KEY = "quartapp.serving.signals"


def on_signal(app: Any, number: signal.Signals, function: Callable[[], object]) -> None:
    """Have *function* called in each process that serves the application, when the server gets this
    signal, SIGUSR1. It is called in the serving loop, and must not block it.

    What it raises goes to the exception handler of the loop. Functions of one signal are called in
    the order in which they were registered. Raises ValueError for other signals, which have another
    meaning for a server.
    """
    if number != signal.SIGUSR1:
        raise ValueError(f"{number.name} is not a signal for applications: expected SIGUSR1")
    app.extensions.setdefault(_KEY, []).append(function)


def listen(app: Any, loop: asyncio.AbstractEventLoop) -> None:
    """Handle these signals in the process that serves the application, from now on."""

    def call() -> None:
        for function in getattr(app, "extensions", {}).get(_KEY, ()):
            loop.call_soon(function)  # so that one that raises leaves the others alone

    loop.add_signal_handler(signal.SIGUSR1, call)
    stacks.write_at_signal(app, loop)
