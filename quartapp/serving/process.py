"""A worker process as its master sees it, and the link by which the two speak.

A worker imports the program itself, and reads its settings again: a worker that is started later
has newer code. What fails meanwhile is sent to the master as one sentence.
"""

import asyncio
import logging
import pickle
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess
from time import monotonic
from types import ModuleType
from typing import Any, TypeAlias

from quartapp.serving.service import Service
from quartapp.serving.signals import PASSED_ON
from quartapp.serving.stopping import HURRY, SIGHURRY, Stop, log_failure, longest

_logger = logging.getLogger(__name__)

Death: TypeAlias = tuple[str, ...]
"""How a worker ended, as arguments of a logger: a message that names the kind, and details."""


class Link:
    """A worker's end of the link to its master."""

    def __init__(self, connection: Any) -> None:
        self.has_started = False
        self._connection = connection

    def listen(self, app: Any, stop: Stop) -> None:
        """Do what the master says, from now on. Call it in the serving loop."""
        loop = asyncio.get_running_loop()

        def receive() -> None:
            try:
                kind, *values = self._connection.recv()
            except (EOFError, OSError):  # the master has ended, which `stop` notices
                loop.remove_reader(self._connection.fileno())
                return
            if kind == "drain":
                stop.told.set()
            else:
                log_failure(app, *values)

        loop.add_reader(self._connection.fileno(), receive)

    def started(self, service: Service) -> None:
        """Tell the master that the application serves, and with which settings."""
        self.has_started = True
        self._send("started", monotonic(), service.settings, service.configured)

    def failed(self, reason: str) -> None:
        """Tell the master why the application does not serve."""
        self._send("failed", reason)

    def _send(self, *message: object) -> None:
        with suppress(OSError):  # the master has ended
            self._connection.send(message)


Serve: TypeAlias = Callable[[Service, socket.socket, Link, Death], None]
"""Serves on a socket until SIGTERM, and says over the link when it has started. The last argument
is how the replaced worker ended, or empty."""


class Worker:
    """A serving process. `has_started` distinguishes a crash from a failed start.

    Messages of the process are read by `has_ended`. `service` is what it serves; after its start
    with the settings that it found. `is_leaving` says that another one serves instead.
    """

    is_leaving = False

    def __init__(
        self, serve: Serve, service: Service, listener: socket.socket, death: Death = ()
    ) -> None:
        context = get_context("spawn")
        self.service = service
        self.failure = ""
        """Why the application did not start, if the process could say it."""
        self._starts_since = monotonic()
        self._serves_since = 0.0
        self.link, theirs = context.Pipe()
        work = pickle.dumps((serve, service, death))
        self.process: SpawnProcess = context.Process(
            target=_begin, args=(_main(), work, listener, theirs), name="quartapp worker"
        )
        with _without_main():
            self.process.start()
        theirs.close()

    @property
    def handles(self) -> list[Any]:
        """What becomes readable when something about the process changes."""
        return [self.process.sentinel, *([] if self.link.closed else [self.link])]

    def has_ended(self) -> bool:
        """Whether the process has ended. Reads what it has said until now."""
        has_ended = self.process.exitcode is not None
        with suppress(EOFError, OSError):
            while not self.link.closed and self.link.poll():
                self._on_message(*self.link.recv())
            return has_ended
        self.link.close()
        return has_ended

    def _on_message(self, kind: str, *values: Any) -> None:
        if kind == "failed":
            [self.failure] = values
        else:
            self._serves_since, settings, configured = values
            self.service = replace(self.service, settings=settings, configured=configured)

    def tell(self, *message: str) -> bool:
        """Send a message: "drain", or "log" and arguments for the logger of the application.

        Returns whether the process may get it.
        """
        with suppress(OSError):  # also of a closed link
            self.link.send(message)
            return True
        return False

    @property
    def age(self) -> float:
        """Seconds since it began to serve or, if it has not, since it was started."""
        return monotonic() - (self._serves_since or self._starts_since)

    @property
    def patience(self) -> float:
        """Seconds that the process may take to stop."""
        return longest(self.service.settings.graceful_timeout) + HURRY

    def death(self, pause: float) -> Death:
        """How the process ended; its replacement starts after `pause` seconds."""
        code = self.process.exitcode or 0
        how = f"was killed by {_signal(-code)}" if code < 0 else "ended"
        did = "serving" if self.has_started else "starting"
        details = f"exit code {code}, after {self.age:.0f} s of {did}"
        if self.failure:
            details += f"; {self.failure}"
        if pause:
            details += f"; workers keep ending, the next one starts {pause:.0f} s later"
        return f"A worker {how} (%s)", details

    @property
    def has_started(self) -> bool:
        return bool(self._serves_since)

    def start_fault(self) -> str:
        """Why the process does not serve and will not, as a sentence; or ""."""
        if self.has_started:
            return ""
        if self.failure:
            return self.failure
        if (code := self.process.exitcode) is not None:
            how = f"was killed by {_signal(-code)}" if code < 0 else f"ended with exit code {code}"
            return f"the new process {how} before it could serve"
        return "the new process took too long to start" if self.time_to_start() <= 0 else ""

    def time_to_start(self) -> float:
        """Seconds that are left for its start: its imports have as long as its application."""
        return 2 * self.service.settings.start_timeout - self.age

    @property
    def has_failed(self) -> bool:
        """Whether the process ended other than by a clean stop.

        SIGTERM may end a process that is still starting, or one that has stopped already because it
        was replaced, and SIGHURRY one whose loop is closed or does not exist yet.
        """
        code = self.process.exitcode or 0
        is_serving = self.has_started and not self.is_leaving
        harmless = {-SIGHURRY} if is_serving else {-SIGHURRY, -signal.SIGTERM}
        return bool(code) and code not in harmless

    def stop(self, deadline: float) -> None:
        """Kill the process if it is still alive at the deadline (`time.monotonic`)."""
        self.process.join(max(0, deadline - monotonic()))
        if self.process.is_alive():
            _logger.error("Worker %s did not end, and is killed", self.process.pid)
            self.process.kill()
            self.process.join()


def reason_of(error: BaseException) -> str:
    """An exception as a part of a sentence, with the place that raised it."""
    what = traceback.format_exception_only(error)[-1].strip()
    if isinstance(error, SyntaxError) and error.filename:
        return f"{what} ({error.filename}:{error.lineno})"
    places = [
        place
        for place in traceback.extract_tb(error.__traceback__)
        if not place.filename.startswith("<frozen ")
    ]
    return f"{what} ({places[-1].filename}:{places[-1].lineno})" if places else what


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _begin(main: tuple[str, str], work: bytes, listener: socket.socket, connection: Any) -> None:
    # Ctrl-C and the end of a terminal reach the whole process group; the master decides.
    for name in (signal.SIGINT, signal.SIGHUP, *PASSED_ON):
        signal.signal(name, signal.SIG_IGN)
    link = Link(connection)
    try:
        _load(*main)
        serve, service, death = pickle.loads(work)
    except BaseException as error:
        link.failed(reason_of(error))
        raise
    serve(service, listener, link, death)


def _main() -> tuple[str, str]:
    """The module and the path of the program; one of them is empty, or both."""
    main = sys.modules["__main__"]
    name = getattr(getattr(main, "__spec__", None), "name", None) or ""
    if name:
        return ("", "") if name == "__main__" or name.endswith(".__main__") else (name, "")
    return "", getattr(main, "__file__", None) or ""


def _load(name: str, path: str) -> None:
    """Import the program as `__mp_main__`, as multiprocessing does, which could not say why it
    failed."""
    if name or path:
        import runpy  # only a worker of a program needs it

        main = ModuleType("__mp_main__")
        if name:
            main.__dict__.update(runpy.run_module(name, run_name="__mp_main__", alter_sys=True))
        else:
            main.__dict__.update(runpy.run_path(path, run_name="__mp_main__"))
        sys.modules["__main__"] = sys.modules["__mp_main__"] = main


@contextmanager
def _without_main() -> Iterator[None]:
    """Keep multiprocessing from importing the program in the new process."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
