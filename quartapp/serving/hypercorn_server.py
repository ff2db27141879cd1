"""One worker of Hypercorn."""

import asyncio
import socket
from typing import Any

from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config

from quartapp.serving.lifespan import Application, without_lifespan
from quartapp.serving.stopping import PARTING, UntilTold, accept_no_more

LEFT = 0.5
"""Seconds after its own time limit until Hypercorn is left to itself."""


async def serve(
    app: Application,
    listener: socket.socket,
    until_told: UntilTold,
    grace: float,
) -> None:
    """Serve on the listener, which is used up: call `until_told`, and stop when it returns."""
    config = _Config()
    config.bind = [f"fd://{listener.detach()}"]
    # A fallback: before it, `stopping` cuts requests off in a way that lets them answer.
    config.graceful_timeout = grace + PARTING
    config.include_server_header = False
    config.loglevel = "WARNING"  # `server` writes where it listens

    loop = asyncio.get_running_loop()
    create_server = loop.create_server
    servers: list[asyncio.Server] = []

    async def create_known_server(*arguments: Any, **options: Any) -> asyncio.Server:
        servers.append(await create_server(*arguments, **options))
        return servers[-1]

    def leave() -> None:
        config.is_leaving = True
        accept_no_more(servers)

    async def until_told_in_time() -> None:
        loop.create_server = create_server  # type: ignore[method-assign]
        await until_told(leave)
        # From Python 3.12 on its limit is never reached while a client does not read its answer.
        asyncio.get_running_loop().call_later(grace + PARTING + LEFT, serving.cancel)

    # Hypercorn tells nobody its servers, and closes idle connections when it closes them.
    loop.create_server = create_known_server  # type: ignore[method-assign]
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


class _Config(Config):
    """With header fields that close connections when the process leaves."""

    is_leaving = False

    def response_headers(self, protocol: str) -> list[tuple[bytes, bytes]]:
        headers = super().response_headers(protocol)
        if self.is_leaving and protocol == "h11":
            headers.append((b"connection", b"close"))
        return headers
