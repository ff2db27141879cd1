"""One worker of granian, embedded in this process's event loop.

granian cannot take over a socket: it listens on another one at the same address (SO_REUSEPORT),
while the socket of `server.run` only reserves the port.
"""

import asyncio
import atexit
import gc
import logging
import os
import socket
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic, sleep
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server

from quartapp.serving.lifespan import Application
from quartapp.serving.stopping import PARTING

HEAD_SIZE = 65_536
"""The most bytes of a request's head. `errors.bounds` has less."""

HEAD_TIMEOUT = 5.0
"""Seconds within which a request's head must be complete, as Hypercorn has it."""

THREADS_TIMEOUT = 1.0
"""Seconds for which the end of granian's threads is awaited when the process ends."""

_CONNECTIONS = 65_536
"""Beyond as many connections granian accepts none. Admission refuses requests long before."""

_NO_LOG = {"incremental": True, "handlers": {}, "loggers": {}}
"""Otherwise granian closes the handlers of all loggers."""

_MALFORMED = {
    "type": "http.response.start",
    "status": 400,
    "headers": [(b"content-length", b"0"), (b"connection", b"close")],
}
"""The answer to a request whose body is malformed, as Hypercorn has it."""

_logger = logging.getLogger(__name__)


async def serve(
    app: Application,
    listener: socket.socket,
    until_told: Callable[[], Awaitable[None]],
    grace: float,
) -> None:
    """Serve at the listener's address: call `until_told`, and stop when it returns."""
    websockets = set()

    async def served(scope: Any, receive: Any, send: Any) -> None:
        has_left = False

        async def received() -> Any:
            nonlocal has_left
            message = await receive()
            has_left = has_left or message["type"] == "http.disconnect"
            return message

        if scope["type"] == "websocket":
            websockets.add(send)
        try:
            await app(scope, received, send)
        except asyncio.CancelledError:
            pass  # who cancelled it has answered and logged
        except Exception:
            _logger.exception("Exception in the application")
            raise
        finally:
            websockets.discard(send)
        if has_left:
            # granian says so of a malformed body too, and answers 500 if the application does not.
            with suppress(Exception):
                await send(_MALFORMED)
                await send({"type": "http.response.body", "body": b""})

    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    host, port = listener.getsockname()[:2]
    server: Any = Server(
        served,
        host,
        port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,  # with others it waits without a limit for the first byte
        backlog=_CONNECTIONS,
        backpressure=_CONNECTIONS,
        http1_settings=HTTP1Settings(
            header_read_timeout=int(HEAD_TIMEOUT * 1000), max_buffer_size=HEAD_SIZE
        ),
        log_dictconfig=_NO_LOG,
        log_level=LogLevels.critical,
    )
    atexit.register(_wait_for_threads, _threads())
    serving = asyncio.create_task(server.serve())
    try:
        await _listening(host, port, serving)
        await until_told()
        # A granian that stops cuts websockets off without a word.
        closing = {"type": "websocket.close", "code": 1012, "reason": ""}
        await asyncio.gather(*(send(closing) for send in websockets), return_exceptions=True)
        server.stop()
        await asyncio.wait({serving}, timeout=grace + PARTING)
    finally:
        listener.close()
        serving.cancel()


async def _listening(host: str, port: int, serving: asyncio.Task[None]) -> None:
    """Wait until somebody can connect."""
    while True:
        if serving.done():
            serving.result()
        try:
            _, writer = await asyncio.open_connection(host, port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return


def _threads() -> set[str]:
    """The threads that Python knows nothing about."""
    known = {str(thread.native_id) for thread in threading.enumerate()}
    with suppress(OSError):  # not Linux
        return set(os.listdir("/proc/self/task")) - known
    return set()


def _wait_for_threads(others: set[str]) -> None:
    """Wait until granian's threads have ended: an interpreter that ends before them is aborted."""
    gc.collect()  # they live as long as what they gave to a request
    deadline = monotonic() + THREADS_TIMEOUT
    while _threads() - others and monotonic() < deadline:
        sleep(0.005)
