"""Serve an application under Hypercorn, through its API.

One worker serves in this process; several are separate processes under a master (`workers`). The
exit code is 0 after a clean stop, 1 if serving failed, 2 if a setting is wrong, so that a
supervisor can distinguish them.
"""

import asyncio
import errno
import gc
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing import parent_process
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.middleware import ProxyFixMiddleware
from hypercorn.utils import LifespanFailureError, LifespanTimeoutError

from quartapp.serving.settings import ServingSettings
from quartapp.serving.workers import run_workers
from quartapp.sockets import bind

GRACEFUL_TIMEOUT = 10.0
"""Seconds that requests in progress get to finish before a stopping server cancels them."""

EXIT_FAILED, EXIT_MISCONFIGURED = 1, 2

_START_FAILURES = (LifespanFailureError, LifespanTimeoutError)


@dataclass(frozen=True, slots=True)
class Service:
    """What a process serves. It is sent to the workers, so `make` has to be picklable.

    `make` creates the application, in the process that serves it. `use_uvloop` uses uvloop if it is
    installed.
    """

    make: Callable[[], Any]
    proxy_hops: int = 0
    use_uvloop: bool = False

    def application(self) -> Any:
        """The application, which trusts as many forwarded headers as PROXY_HOPS says."""
        app = self.make()
        if self.proxy_hops:
            return ProxyFixMiddleware(app, mode="legacy", trusted_hops=self.proxy_hops)
        return app

    def loop_factory(self) -> Callable[[], asyncio.AbstractEventLoop] | None:
        """The factory of the event loop; None means asyncio's own."""
        if not self.use_uvloop:
            return None
        try:
            import uvloop
        except ImportError:
            return None
        return uvloop.new_event_loop


def run(make: Callable[[], Any], settings: ServingSettings, *, use_uvloop: bool = False) -> int:
    """Serve until SIGINT or SIGTERM; returns the exit code. Each fault is one sentence on stderr.

    `make` and `use_uvloop` are those of `Service`.
    """
    try:
        listener = bind(settings.host, settings.port)
    except OSError as error:
        return refuse(_unavailable(error, settings), EXIT_FAILED)
    listener.setblocking(False)
    listener.set_inheritable(True)
    work = partial(_work, Service(make, settings.proxy_hops, use_uvloop))
    if settings.workers > 1:
        collect_from_now_on()
        return run_workers(work, listener, settings.workers, GRACEFUL_TIMEOUT + 5)
    work(listener, lambda: None)
    return 0


def serve_here(
    service: Service, listener: socket.socket, started: Callable[[], None] = lambda: None
) -> None:
    """Serve in this process until SIGINT or SIGTERM, or until the master has died.

    Calls `started` when the application has started. Raises Hypercorn's lifespan errors.
    """
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.graceful_timeout = GRACEFUL_TIMEOUT
    config.include_server_header = False
    application = service.application()

    async def serve_until_told() -> None:
        # Before the start, so that a signal during the start takes effect after it.
        told = _listen_for_the_end()

        async def until_told() -> None:
            collect_from_now_on()
            started()
            await told.wait()

        await serve(application, config, shutdown_trigger=until_told)

    with asyncio.Runner(loop_factory=service.loop_factory()) as runner:
        runner.run(serve_until_told())


def collect_from_now_on() -> None:
    """Start the garbage collector, which ignores all objects that exist now."""
    gc.freeze()
    gc.enable()


def _listen_for_the_end() -> asyncio.Event:
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(name) is not signal.SIG_IGN:
            loop.add_signal_handler(name, told.set)
    if (master := parent_process()) is not None:
        loop.add_reader(master.sentinel, told.set)  # readable when the master has died
    return told


def _work(service: Service, listener: socket.socket, started: Callable[[], None]) -> None:
    try:
        serve_here(service, listener, started)
    except _START_FAILURES as error:
        sys.exit(refuse(f"the application did not start: {error}", EXIT_FAILED))


def say(sentence: str) -> None:
    """Write a sentence for the person at the terminal."""
    print(f"quartapp: {sentence}", file=sys.stderr)  # noqa: T201 it is for the terminal


def refuse(sentence: str, code: int) -> int:
    """Say why nothing is served, and return the exit code."""
    say(sentence)
    return code


def _unavailable(error: OSError, settings: ServingSettings) -> str:
    where = f"{settings.host}:{settings.port}"
    if error.errno == errno.EADDRINUSE:
        return f"port {settings.port} is in use: stop the other server, or set PORT to a free one"
    if error.errno == errno.EACCES:
        return f"this user may not listen on {where}: set PORT to 1024 or more"
    return f"cannot listen on {where}: {error.strerror or error}"
