"""Serve an application under Hypercorn, uvicorn or granian, through their APIs.

One worker serves in this process; several are separate processes under a master (`workers`). The
exit code is 0 after a clean stop, 1 if serving failed, 2 if a setting is wrong, so that a
supervisor can distinguish them.
"""

import asyncio
import errno
import gc
import os
import socket
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

from quartapp.serving.lifespan import Lifespan, LifespanFailedError, LifespanTimeoutError
from quartapp.serving.settings import ServingSettings
from quartapp.serving.stopping import (
    EXIT_FAILED,
    HURRY,
    Stop,
    end_process_after,
    log_failure,
    longest,
)
from quartapp.serving.workers import Death, run_workers
from quartapp.sockets import bind, url_of

EXIT_MISCONFIGURED = 2

START_TIMEOUT = 60.0
"""Seconds within which the application must have started."""

_REPORT_EXITS_AFTER = 1.0


@dataclass(frozen=True, slots=True)
class Service:
    """What a process serves. It is sent to the workers, so `make` must be picklable.

    `make` creates the application in the process that serves it. `use_uvloop` uses uvloop if it is
    installed. `grace` is GRACEFUL_TIMEOUT in seconds, and `server` is SERVER.
    """

    make: Callable[[], Any]
    use_uvloop: bool = False
    grace: float = 10.0
    server: str = "hypercorn"

    def loop_factory(self) -> Callable[[], asyncio.AbstractEventLoop] | None:
        """The factory of the event loop; None means asyncio's."""
        if not self.use_uvloop:
            return None
        try:
            import uvloop
        except ImportError:
            return None
        return uvloop.new_event_loop


def run(make: Callable[[], Any], settings: ServingSettings, *, use_uvloop: bool = False) -> int:
    """Serve until SIGINT or SIGTERM; returns the exit code. A failure is one sentence on stderr.

    `make` and `use_uvloop` are those of `Service`.
    """
    if settings.server_fault:
        return refuse(settings.server_fault, EXIT_MISCONFIGURED)
    try:
        listener = bind(settings.host, settings.port)
    except OSError as error:
        return refuse(_unavailable(error, settings), EXIT_FAILED)
    listener.setblocking(False)
    listener.set_inheritable(True)
    grace = settings.graceful_timeout
    work = partial(_work, Service(make, use_uvloop, grace, settings.server))
    if settings.workers > 1:
        collect_from_now_on()
        return run_workers(work, listener, settings.workers, longest(grace) + HURRY)
    work(listener, lambda: None, ())
    return 0


def serve_here(
    service: Service,
    listener: socket.socket,
    started: Callable[[], None] = lambda: None,
    death: Death = (),
) -> None:
    """Serve in this process until SIGINT or SIGTERM, or until the master has died.

    Calls `started` when the application has started. `death` is how the replaced worker ended,
    which the application reports. Raises ServingFailedError.
    """
    app = service.make()
    if death:
        log_failure(app, *death)

    serve = _serve_with(service.server)
    where = f"Running on {url_of(listener)} with {service.server}"

    async def serve_until_told() -> None:
        # Before the start, so that a signal during the start takes effect after it.
        stop = Stop(app, service.grace)
        stop.listen()
        lifespan = Lifespan(app)

        async def until_told() -> None:
            collect_from_now_on()
            stop.has_started = True
            say(f"{where}, process {os.getpid()} (Ctrl-C stops it)")
            started()
            await stop.begun.wait()

        try:
            await lifespan.start(START_TIMEOUT)
            await serve(app, listener, until_told, service.grace)
            await lifespan.stop(service.grace)
        except (LifespanTimeoutError, asyncio.CancelledError) as error:
            was_early = stop.begun.is_set() and not stop.has_started
            why = "it was stopped before it had started" if was_early else "it took too long"
            reason = _failure(stop, why)
            log_failure(app, reason[0].upper() + reason[1:])
            end_process_after(HURRY, "one of its threads is still running")
            raise ServingFailedError(reason) from error
        except LifespanFailedError as error:
            raise ServingFailedError(_failure(stop, str(error))) from error
        finally:
            stop.end()

    with asyncio.Runner(loop_factory=service.loop_factory()) as runner:
        _run(runner.get_loop(), serve_until_told())


def _serve_with(server: str) -> Any:
    """The function that serves one worker; a server is imported only where it is used."""
    return import_module(f"quartapp.serving.{server}_server").serve


class ServingFailedError(RuntimeError):
    """The application did not start, or did not stop cleanly. The text is one sentence."""


def _failure(stop: Stop, reason: str) -> str:
    what = "did not stop cleanly" if stop.has_started else "did not start"
    return f"the application {what}: {reason}"


def _run(loop: asyncio.AbstractEventLoop, main: Coroutine[Any, Any, None]) -> None:
    """Run `main` to its end, even if a task or a callback raises SystemExit.

    In asyncio it leaves the loop, which would end the server with all its requests. Here the loop's
    exception handler gets it, like other errors, but later: a request that awaits the task may
    report it first, with more data.
    """
    task = loop.create_task(main)
    while not task.done():
        try:
            loop.run_until_complete(task)
        except (SystemExit, KeyboardInterrupt) as ending:
            if task.done():
                raise
            message = f"{type(ending).__name__} in a task or a callback"
            context = {"message": message, "exception": ending}
            loop.call_later(_REPORT_EXITS_AFTER, loop.call_exception_handler, context)


def collect_from_now_on() -> None:
    """Enable the garbage collector, except for the objects that exist now."""
    gc.freeze()
    gc.enable()


def _work(
    service: Service, listener: socket.socket, started: Callable[[], None], death: Death
) -> None:
    try:
        serve_here(service, listener, started, death)
    except ServingFailedError as error:
        sys.exit(refuse(str(error), EXIT_FAILED))


def say(sentence: str) -> None:
    """Write a sentence to stderr."""
    print(f"quartapp: {sentence}", file=sys.stderr)  # noqa: T201 it is for the terminal


def refuse(sentence: str, code: int) -> int:
    """Write why nothing is served to stderr, and return the exit code."""
    say(sentence)
    return code


def _unavailable(error: OSError, settings: ServingSettings) -> str:
    where = f"{settings.host}:{settings.port}"
    if error.errno == errno.EADDRINUSE:
        return f"port {settings.port} is in use: stop the other server, or set PORT to a free one"
    if error.errno == errno.EACCES:
        return f"this user may not listen on {where}: set PORT to 1024 or more"
    return f"cannot listen on {where}: {error.strerror or error}"
