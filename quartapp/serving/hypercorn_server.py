"""One worker of Hypercorn."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config

from quartapp.serving.lifespan import Application, without_lifespan
from quartapp.serving.stopping import PARTING

LEFT = 0.5
"""Seconds after its own time limit until Hypercorn is left to itself."""


async def serve(
    app: Application,
    listener: socket.socket,
    until_told: Callable[[], Awaitable[None]],
    grace: float,
) -> None:
    """Serve on the listener, which is used up: call `until_told`, and stop when it returns."""
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    # A fallback: before it, `stopping` cuts requests off in a way that lets them answer.
    config.graceful_timeout = grace + PARTING
    config.include_server_header = False
    config.loglevel = "WARNING"  # `server` writes where it listens

    async def until_told_in_time() -> None:
        await until_told()
        # From Python 3.12 on its limit is never reached while a client does not read its answer.
        asyncio.get_running_loop().call_later(grace + PARTING + LEFT, serving.cancel)

    serving = asyncio.create_task(
        hypercorn_serve(
            without_lifespan(app), config, shutdown_trigger=until_told_in_time, mode="asgi"
        )
    )
    try:
        await asyncio.wait({serving})
    finally:
        serving.cancel()
    if not serving.cancelled():
        serving.result()
