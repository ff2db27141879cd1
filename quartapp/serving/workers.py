"""Several worker processes on one socket, and the master that owns them.

Hypercorn's own master stops all workers as soon as one ends, and reports a failed start as success.
This one replaces a worker that died, and fails when a worker cannot start. The replacement receives
how its predecessor ended, and reports it. While workers keep crashing soon after their start, each
is replaced after a pause, which doubles each time.
"""

import logging
import os
import signal
import socket
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from time import monotonic
from typing import Any

from quartapp.serving.stopping import SIGHURRY

_logger = logging.getLogger(__name__)

Death = tuple[str, ...]
"""How a worker ended, as arguments of a logger: a message that names the kind, and details."""

Work = Callable[[socket.socket, Callable[[], None], Death], None]
"""Serves on a socket until SIGTERM, and calls its second argument once it has started. The third is
how the replaced worker ended, or empty."""

SOON = 5.0
"""A worker that ends within this many seconds of serving counts as crashed at once."""

LONGEST_PAUSE = 16.0
"""The longest pause before a worker is replaced, in seconds. There is no pause after the first two
crashes, and one second after the third."""


class Worker:
    """A serving process. `has_started` distinguishes a crash from a failed start."""

    def __init__(self, work: Work, listener: socket.socket, death: Death = ()) -> None:
        context = get_context("spawn")
        # When it began to serve; all processes share the monotonic clock.
        self._serves_since: Any = context.RawValue("d", 0.0)
        self._starts_since = monotonic()
        self.process: SpawnProcess = context.Process(
            target=_work, args=(work, listener, self._serves_since, death), name="quartapp worker"
        )
        self.process.start()

    @property
    def age(self) -> float:
        """Seconds since it began to serve or, if it has not, since it was started."""
        return monotonic() - (self._serves_since.value or self._starts_since)

    def death(self, pause: float) -> Death:
        """How the process ended; its replacement starts after `pause` seconds."""
        code = self.process.exitcode or 0
        how = f"was killed by {_signal(-code)}" if code < 0 else "ended"
        did = "serving" if self.has_started else "starting"
        details = f"exit code {code}, after {self.age:.0f} s of {did}"
        if pause:
            details += f"; workers keep ending, the next one starts {pause:.0f} s later"
        return f"A worker {how} (%s)", details

    @property
    def has_started(self) -> bool:
        return bool(self._serves_since.value)

    @property
    def has_failed(self) -> bool:
        """Whether the process ended other than by a clean stop.

        SIGTERM may end a process that is still starting, and SIGHURRY one whose loop is closed or
        does not exist yet.
        """
        code = self.process.exitcode or 0
        harmless = {-SIGHURRY} if self.has_started else {-SIGHURRY, -signal.SIGTERM}
        return bool(code) and code not in harmless

    def stop(self, deadline: float) -> None:
        """Kill the process if it is still alive at the deadline (`time.monotonic`)."""
        self.process.join(max(0, deadline - monotonic()))
        if self.process.is_alive():
            _logger.error("Worker %s did not end, and is killed", self.process.pid)
            self.process.kill()
            self.process.join()


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def run_workers(work: Work, listener: socket.socket, count: int, patience: float) -> int:
    """Keep `count` workers running until SIGINT or SIGTERM; returns the server's exit code.

    The code is 0 after a clean stop, 1 if a worker could not start or did not stop cleanly. The
    listener is closed at the signal, so that no client waits in its queue for a worker. A SIGINT
    after the first signal makes the workers hurry (SIGHURRY). Workers that are still alive
    `patience` seconds after the signal are killed. Call it in the main thread.
    """
    reader, writer = os.pipe()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda number, _: os.write(writer, bytes([number])))
    workers = [Worker(work, listener) for _ in range(count)]
    try:
        code = _watch(workers, work, listener, reader)
    finally:
        listener.close()
        for worker in workers:
            worker.process.terminate()
        deadline = monotonic() + patience
        _pass_on(workers, reader, deadline)
        for worker in workers:
            worker.stop(deadline)
    return code or int(any(worker.has_failed for worker in workers))


def _watch(workers: list[Worker], work: Work, listener: socket.socket, reader: int) -> int:
    """Replace workers that end, until a signal. Returns the exit code."""
    due: list[tuple[float, Death]] = []
    crashes, begun = 0, False
    while True:
        ended = [worker for worker in workers if worker.process.exitcode is not None]
        begun = begun or all(worker.has_started for worker in workers)
        if not begun and not all(worker.has_started for worker in ended):
            return 1
        for worker in ended:
            workers.remove(worker)
            crashes = crashes + 1 if worker.age < SOON or not worker.has_started else 0
            pause = min(2.0 ** (crashes - 3), LONGEST_PAUSE) if crashes > 2 else 0.0
            death = worker.death(pause)
            _logger.error("Worker %s is replaced", worker.process.pid)
            _logger.error(*death)
            due.append((monotonic() + pause, death))
        due.sort()
        while due and due[0][0] <= monotonic():
            workers.append(Worker(work, listener, due.pop(0)[1]))
        until = max(0, due[0][0] - monotonic()) if due else None
        if reader in wait([reader, *(worker.process.sentinel for worker in workers)], until):
            os.read(reader, 1)
            return 0


def _pass_on(workers: list[Worker], reader: int, deadline: float) -> None:
    """Wait until the workers have ended or the deadline has passed. SIGINT makes them hurry."""
    while (left := deadline - monotonic()) > 0:
        alive = [worker.process for worker in workers if worker.process.is_alive()]
        if not alive:
            return
        if reader in wait([reader, *(process.sentinel for process in alive)], left):
            name = os.read(reader, 1)[0]
            for process in alive if name == signal.SIGINT else ():
                os.kill(process.pid, SIGHURRY)  # type: ignore[arg-type]  # it was started


def _work(work: Work, listener: socket.socket, serves_since: Any, death: Death) -> None:
    # Ctrl-C reaches the whole process group; the master sends each worker SIGTERM or SIGHURRY.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    work(listener, lambda: setattr(serves_since, "value", monotonic()), death)
