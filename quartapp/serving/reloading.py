"""How a reload is announced, and how a process that serves alone hands over to a worker.

A process that serves alone has no master, which would cost it memory and start time. Its first
reload starts a worker, and when that serves, the process stops serving and becomes its master: its
pid stays, which the supervisor knows.
"""

import asyncio
import signal
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from quartapp.serving.process import Serve, Worker
from quartapp.serving.service import Service
from quartapp.serving.signals import PASSED_ON
from quartapp.serving.status import StatusFile
from quartapp.serving.stopping import Stop, log_failure
from quartapp.serving.supervisor import notify, notify_reloading, watchdog_interval
from quartapp.serving.terminal import has_terminal, say

HANDED_OVER = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, *PASSED_ON)
"""The signals that a process blocks from the end of its serving loop until it is a master."""

FAILED = "A reload failed, and the processes that were serving go on (%s)"
"""The error that is logged and reported, with the reason."""


class Progress:
    """Tells people, the status file and the supervisor about reloads."""

    def __init__(self, status: StatusFile) -> None:
        self.status = status
        self._had_terminal = has_terminal()
        self._outlives_it = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # as `nohup` asks

    def asked(self) -> Literal["reload", "stop", "nothing"]:
        """What SIGHUP asks for: a terminal that was closed sends it too, and means a stop."""
        if not self._had_terminal or has_terminal():
            return "reload"
        if not self._outlives_it:
            return "stop"
        self._had_terminal = False
        return "nothing"

    def started(self) -> None:
        """The server has started."""
        unknown = "so 'quartapp reload' cannot find this server"
        try:
            if not self.status.open():
                say(f"{self.status.path} belongs to another server, {unknown}: set PID_FILE")
        except OSError as error:
            say(f"{self.status.path} cannot be written ({error.strerror}), {unknown}")
        notify("READY=1")

    def begun(self) -> None:
        """A reload begins."""
        say("Reloading: a new process starts before an old one stops")
        self.status.reloading()
        notify_reloading()

    def ended(self, before: Service, now: Service) -> None:
        """A reload has succeeded; the services are those before and after."""
        old, new = before.configured, now.configured
        if old and new and (old.host, old.port) != (new.host, new.port):
            say(
                f"HOST and PORT are {new.host} and {new.port} now, and a reload cannot change"
                " them: restart the server"
            )
        say("Reloaded: new processes serve")
        self._end("")

    def failed(self, reason: str, log: Callable[..., None]) -> None:
        """A reload has failed. `log` is called with arguments for a logger."""
        say(f"the reload failed, and the processes that were serving go on: {reason}")
        log(FAILED, reason)
        self._end(reason)

    def _end(self, error: str) -> None:
        self.status.reloaded(error)
        notify("READY=1")


class Alone:
    """Reloads a process that serves without a master.

    After `end`, `has_left` says that `successor` serves instead, and `pending` are the signals that
    arrived for its master.
    """

    def __init__(self, serve: Serve, listener: socket.socket, progress: Progress) -> None:
        self.successor: Worker | None = None
        self.has_left = False
        self.pending: list[int] = []
        self._serve = serve
        self._listener = listener
        self._progress = progress
        self._is_wanted = False
        self._handles: list[int] = []
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def listen(self, app: Any, service: Service, stop: Stop) -> None:
        """Handle SIGHUP from now on. Call it in the serving loop."""
        self._app, self._service, self._stop = app, service, stop
        self._loop = asyncio.get_running_loop()
        self._loop.add_signal_handler(signal.SIGHUP, self._on_hangup)

    def started(self) -> None:
        """The application serves."""
        self._progress.started()
        self._beat()
        if self._is_wanted:
            self._begin()

    def stopping(self) -> None:
        """The server stops: no client shall wait in the queue of its socket."""
        if not self.has_left:
            self._listener.close()
            notify("STOPPING=1")

    def end(self) -> None:
        """The loop ends; if another process serves now, this one goes on."""
        self._forget()
        for timer in self._timers.values():
            timer.cancel()
        if self.has_left:
            self._stop.keep_process()
            signal.pthread_sigmask(signal.SIG_BLOCK, HANDED_OVER)
            self.pending = [*self._stop.signals, *([signal.SIGHUP] if self._is_wanted else [])]

    def _on_hangup(self) -> None:
        asked = self._progress.asked()
        if asked == "nothing":
            return
        if asked == "stop":
            self._stop.begin()
        elif self.successor is None and self._stop.has_started:
            self._begin()
        else:
            self._is_wanted = True

    def _begin(self) -> None:
        self._is_wanted = False
        self._progress.begun()
        self.successor = worker = Worker(self._serve, self._service, self._listener)
        self._handles = [worker.link.fileno(), worker.process.sentinel]
        for handle in self._handles:
            self._loop.add_reader(handle, self._look, worker)
        self._timers["start"] = self._loop.call_later(
            worker.time_to_start() + 0.01, self._look, worker
        )

    def _look(self, worker: Worker) -> None:
        worker.has_ended()
        if self.has_left:
            self._forget()
            self._stop.begin()  # it has died: its master replaces it when this process has stopped
        elif worker.has_started:
            self.has_left = True
            self._timers.pop("start").cancel()
            self._progress.ended(self._service, worker.service)
            self._stop.told.set()
        elif reason := worker.start_fault():
            self._forget()
            self._timers.pop("start").cancel()
            self.successor = None
            worker.process.kill()
            self._progress.failed(reason, partial(log_failure, self._app))
            if self._is_wanted:
                self._begin()

    def _forget(self) -> None:
        for handle in self._handles:
            self._loop.remove_reader(handle)
        self._handles = []

    def _beat(self) -> None:
        if (interval := watchdog_interval()) is not None:
            notify("WATCHDOG=1")
            self._timers["beat"] = self._loop.call_later(interval, self._beat)
