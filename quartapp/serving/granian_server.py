"""One worker of granian, embedded in this process's event loop.

Embedded, granian listens on a socket of its own at an address (SO_REUSEPORT), and the connections
that it has not accepted when it stops are reset. `_Server` gives it the socket that all workers
share.
"""

import asyncio
import atexit
import gc
import logging
import os
import socket
import threading
from contextlib import suppress
from time import monotonic, sleep
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.net import SocketHolder  # type: ignore[attr-defined]  # as granian itself does
from granian.server.embed import Server

from quartapp.serving.lifespan import Application
from quartapp.serving.stopping import PARTING, UntilTold

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


class _Served:
    """The application, as granian calls it."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._websockets: set[Any] = set()
        self.is_leaving = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        has_left = False

        async def received() -> Any:
            nonlocal has_left
            message = await receive()
            has_left = has_left or message["type"] == "http.disconnect"
            return message

        def sent(message: Any) -> Any:
            if self.is_leaving and message["type"] == "http.response.start":
                closing = (b"connection", b"close")
                message = {**message, "headers": [*message.get("headers", ()), closing]}
            return send(message)

        if scope["type"] == "websocket":
            self._websockets.add(send)
        try:
            await self._app(scope, received, sent)
        except asyncio.CancelledError:
            pass  # who cancelled it has answered and logged
        except Exception:
            _logger.exception("Exception in the application")
            raise
        finally:
            self._websockets.discard(send)
        if has_left:
            # granian says so of a malformed body too, and answers 500 if the application does not.
            with suppress(Exception):
                await send(_MALFORMED)
                await send({"type": "http.response.body", "body": b""})

    async def close_websockets(self) -> None:
        """A granian that stops cuts them off without a word."""
        closing = {"type": "websocket.close", "code": 1012, "reason": ""}
        await asyncio.gather(*(send(closing) for send in self._websockets), return_exceptions=True)


async def serve(
    app: Application,
    listener: socket.socket,
    until_told: UntilTold,
    grace: float,
) -> None:
    """Serve on the listener, which is used up: call `until_told`, and stop when it returns."""
    served = _Served(app)
    server = _make_server(served, listener)

    def leave() -> None:
        served.is_leaving = True
        # granian cannot stop to accept: from now on it asks a socket to which nobody connects.
        with socket.socket(socket.AF_UNIX) as silent:
            silent.setblocking(False)
            silent.bind("")  # Linux chooses an abstract address
            silent.listen()
            os.dup2(silent.fileno(), server.handle, inheritable=False)

    atexit.register(_wait_for_threads, _threads())
    serving = asyncio.create_task(server.serve())
    telling = asyncio.create_task(until_told(leave))
    try:
        await asyncio.wait({serving, telling}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        await telling
        await served.close_websockets()
        server.stop()
        await asyncio.wait({serving}, timeout=grace + PARTING)
    finally:
        telling.cancel()
        serving.cancel()


def _make_server(served: _Served, listener: socket.socket) -> Any:
    listener.listen(_CONNECTIONS)
    # Connections inherit it; otherwise each response waits for the client's acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    host, port = listener.getsockname()[:2]
    server = _Server(
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
    server.handle = listener.detach()
    return server


class _Server(Server):
    """A server on an open socket, which it closes."""

    handle: int

    def _init_shared_socket(self) -> None:
        holder: Any = SocketHolder  # its types lack the arguments
        self._shd = holder(self.handle, False, _CONNECTIONS)


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
