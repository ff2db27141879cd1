"""Hypercorn as a developer needs it: in this process, on one socket, quick to stop."""

import asyncio
import os
import signal
from typing import Any

from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config

GRACEFUL_TIMEOUT = 1.0
"""Seconds that open connections get at a restart, which the developer is waiting for."""


def serve(app: Any, listener: int, *, parent: int | None = None) -> None:
    """Serve on a listening socket's descriptor, until SIGINT or SIGTERM.

    `parent` is the reading end of a pipe. When its other end is closed, as it is when the process
    that holds it ends in any way, the server stops too.
    """
    asyncio.run(_serve(app, listener, parent))


async def _serve(app: Any, listener: int, parent: int | None) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    if parent is not None:
        loop.add_reader(parent, stopped.set)
    config = Config()
    # A duplicate: the server closes the one it gets, and the caller closes its own.
    config.bind = [f"fd://{os.dup(listener)}"]
    config.graceful_timeout = GRACEFUL_TIMEOUT
    config.include_server_header = False
    config.loglevel = "WARNING"
    try:
        await hypercorn_serve(app, config, shutdown_trigger=stopped.wait)
    finally:
        if parent is not None:
            loop.remove_reader(parent)
