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
from importlib import import_module
from time import monotonic
from typing import Any

from click import ClickException

from quartapp.serving import signals
from quartapp.serving.lifespan import Lifespan, LifespanFailedError, LifespanTimeoutError
from quartapp.serving.process import Death, Link, reason_of
from quartapp.serving.reloading import Alone, Progress
from quartapp.serving.service import Service
from quartapp.serving.settings import ServingSettings
from quartapp.serving.status import StatusFile
from quartapp.serving.stopping import (
    BRIEF_DRAIN,
    DRAIN,
    EXIT_FAILED,
    HURRY,
    Stop,
    end_process_after,
    log_failure,
)
from quartapp.serving.supervisor import inherited_socket
from quartapp.serving.terminal import refuse as refuse
from quartapp.serving.terminal import say as say
from quartapp.serving.workers import run_workers
from quartapp.sockets import bind, url_of

EXIT_MISCONFIGURED = 2

_REPORT_EXITS_AFTER = 1.0


def run(make: Callable[[], Any], settings: ServingSettings, *, use_uvloop: bool = False) -> int:
    """Serve until SIGINT or SIGTERM; returns the exit code. A failure is one sentence on stderr.

    `make` and `use_uvloop` are those of `Service`. Serves on the socket of the supervisor, if it
    passed one. SIGHUP replaces the processes that serve, and what the application's config says of
    SERVER, WORKERS, GRACEFUL_TIMEOUT and START_TIMEOUT takes effect again. Call it in the main
    thread.
    """
    if settings.server_fault:
        return refuse(settings.server_fault, EXIT_MISCONFIGURED)
    try:
        listener = inherited_socket()
        is_activated = listener is not None
        if listener is None:
            listener = bind(settings.host, settings.port)
    except ValueError as error:
        return refuse(str(error), EXIT_MISCONFIGURED)
    except OSError as error:
        return refuse(_unavailable(error, settings), EXIT_FAILED)
    listener.set_inheritable(True)
    progress = Progress(StatusFile(settings.pid_file))
    service = Service(make, use_uvloop, settings, is_activated=is_activated)
    try:
        if settings.workers > 1:
            collect_from_now_on()
            return run_workers(serve_as_worker, service, listener, progress)
        return _run_alone(service, listener, progress)
    finally:
        listener.close()
        progress.status.close()


def _run_alone(service: Service, listener: socket.socket, progress: Progress) -> int:
    """Serve in this process, until a reload makes it a master."""
    alone = Alone(serve_as_worker, listener, progress)
    try:
        serve_here(service, listener, alone=alone)
    except ServingFailedError as error:
        if alone.successor is None:
            return refuse(str(error), EXIT_FAILED)
        say(str(error))
    finally:
        if alone.successor is not None and not alone.has_left:
            alone.successor.process.terminate()
            alone.successor.stop(monotonic() + HURRY)
    if alone.successor is None or not alone.has_left:
        return 0
    gc.unfreeze()
    gc.collect()  # most of the application that served here
    service = alone.successor.service
    return run_workers(
        serve_as_worker,
        service,
        listener,
        progress,
        first=[alone.successor],
        pending=alone.pending,
    )


def serve_here(
    service: Service,
    listener: socket.socket,
    *,
    link: Link | None = None,
    death: Death = (),
    alone: Alone | None = None,
) -> None:
    """Serve in this process until SIGINT or SIGTERM, or until the master has died.

    `link` is that to the master. `death` is how the replaced worker ended, which the application
    reports. `alone` reloads a process without a master. Raises ServingFailedError, and what `make`
    raises.
    """
    # All processes share this flag. A socket that was sent to a worker does not know it, and would
    # have `dup` remove it: then a process that loses the race for a connection hangs in `accept`.
    listener.setblocking(False)
    app = service.make()
    service = service.configured_by(app)
    if death:
        log_failure(app, *death)

    async def serve() -> None:
        await _Serving(app, service, listener, link, alone).run()

    with asyncio.Runner(loop_factory=service.loop_factory()) as runner:
        _run(runner.get_loop(), serve())


class _Serving:
    """What a process does from the start of its application to its end. Create it in the loop."""

    def __init__(
        self,
        app: Any,
        service: Service,
        listener: socket.socket,
        link: Link | None,
        alone: Alone | None,
    ) -> None:
        self._app = app
        self._service = service
        self._listener = listener
        self._link = link
        self._alone = alone
        self._stop = Stop(app, service.settings.graceful_timeout)

    async def run(self) -> None:
        """Raises ServingFailedError."""
        stop = self._stop
        # Before the start, so that a signal during the start takes effect after it.
        stop.listen()
        signals.listen(self._app, asyncio.get_running_loop())
        if self._alone is not None:
            self._alone.listen(self._app, self._service, stop)
        if self._link is not None:
            self._link.listen(self._app, stop)
        try:
            await self._serve()
        except (LifespanTimeoutError, asyncio.CancelledError) as error:
            was_early = stop.begun.is_set() and not stop.has_started
            why = "it was stopped before it had started" if was_early else "it took too long"
            reason = _failure(stop, why)
            log_failure(self._app, reason[0].upper() + reason[1:])
            end_process_after(HURRY, "one of its threads is still running")
            raise ServingFailedError(reason) from error
        except LifespanFailedError as error:
            raise ServingFailedError(_failure(stop, str(error))) from error
        finally:
            stop.end()
            if self._alone is not None:
                self._alone.end()

    async def _serve(self) -> None:
        settings = self._service.settings
        grace = settings.graceful_timeout
        serve = _serve_with(settings.server)
        lifespan = Lifespan(self._app)
        await lifespan.start(settings.start_timeout)
        try:
            _listen(self._listener, settings.server)
        except ServingFailedError:
            await lifespan.stop(grace)
            raise
        await serve(self._app, self._listener.dup(), self._until_told, grace)
        await lifespan.stop(grace)

    async def _until_told(self, leave: Callable[[], None]) -> None:
        """What a server calls when it serves; it stops when this returns."""
        stop, listener = self._stop, self._listener
        collect_from_now_on()
        stop.has_started = True
        where = f"{url_of(listener)} with {self._service.settings.server}"
        say(f"Running on {where}, process {os.getpid()} (Ctrl-C stops it)")
        if self._link is not None:
            self._link.started(self._service)
        if self._alone is not None:
            self._alone.started()
        await stop.told.wait()
        leave()
        if not stop.begun.is_set():
            await stop.drain(DRAIN, listener.getsockname()[1])
        else:
            if self._alone is None:
                listener.close()
            else:
                self._alone.stopping()
            if self._service.is_activated:
                await asyncio.sleep(BRIEF_DRAIN)


def _listen(listener: socket.socket, server: str) -> None:
    """Listen on a bound socket, before a server does so itself. Raises ServingFailedError.

    Two starts at a time can bind one port, and then only one of them can listen on it. granian has
    other sockets.
    """
    if server == "granian":
        return
    try:
        listener.listen()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise ServingFailedError(_in_use(listener.getsockname()[1])) from error


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


def serve_as_worker(service: Service, listener: socket.socket, link: Link, death: Death) -> None:
    """Serve as a worker: the master says why it failed."""
    try:
        serve_here(service, listener, link=link, death=death)
    except (ServingFailedError, ClickException) as error:
        if link.has_started:
            say(str(error))
        else:
            link.failed(str(error))
        sys.exit(EXIT_FAILED)
    except BaseException as error:
        link.failed(reason_of(error))
        raise


def _unavailable(error: OSError, settings: ServingSettings) -> str:
    where = f"{settings.host}:{settings.port}"
    if error.errno == errno.EADDRINUSE:
        return _in_use(settings.port)
    if error.errno == errno.EACCES:
        return f"this user may not listen on {where}: set PORT to 1024 or more"
    return f"cannot listen on {where}: {error.strerror or error}"


def _in_use(port: int) -> str:
    return f"port {port} is in use: stop the other server, or set PORT to a free one"
