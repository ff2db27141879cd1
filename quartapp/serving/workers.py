"""Several worker processes on one socket, and the master that owns them.

Hypercorn's own master stops all workers as soon as one ends, and reports a failed start as success.
This one replaces a worker that died, and fails when a worker cannot start.
"""

import logging
import os
import signal
import socket
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event
from time import monotonic

_logger = logging.getLogger(__name__)

Work = Callable[[socket.socket, Callable[[], None]], None]
"""Serves on a socket until SIGTERM, and calls its second argument once it has started."""


class Worker:
    """One process that serves; `has_started` distinguishes a crash from a start that failed."""

    def __init__(self, work: Work, listener: socket.socket) -> None:
        context = get_context("spawn")
        self._started: Event = context.Event()
        self.process: SpawnProcess = context.Process(
            target=_work, args=(work, listener, self._started), name="quartapp worker"
        )
        self.process.start()

    @property
    def has_started(self) -> bool:
        return self._started.is_set()

    @property
    def has_failed(self) -> bool:
        """Whether the process ended otherwise than by a clean stop: one that was still starting
        may end by the SIGTERM itself."""
        code = self.process.exitcode
        return bool(code) and (self.has_started or code != -signal.SIGTERM)

    def stop(self, deadline: float) -> None:
        """Kill the process if it is still alive at the deadline (`time.monotonic`)."""
        self.process.join(max(0, deadline - monotonic()))
        if self.process.is_alive():
            _logger.error("Worker %s did not end, and is killed", self.process.pid)
            self.process.kill()
            self.process.join()


def run_workers(work: Work, listener: socket.socket, count: int, patience: float) -> int:
    """Keep `count` workers running until SIGINT or SIGTERM; returns the server's exit code.

    The code is 0 after a clean stop, 1 if a worker could not start or did not stop cleanly. A
    SIGINT after the first signal is passed on to the workers, which hurry then. Workers that are
    still alive `patience` seconds after the signal are killed. Call it in the main thread.
    """
    reader, writer = os.pipe()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda number, _: os.write(writer, bytes([number])))
    workers = [Worker(work, listener) for _ in range(count)]
    try:
        code = _watch(workers, work, listener, reader)
    finally:
        for worker in workers:
            worker.process.terminate()
        deadline = monotonic() + patience
        _pass_on(workers, reader, deadline)
        for worker in workers:
            worker.stop(deadline)
    return code or int(any(worker.has_failed for worker in workers))


def _watch(workers: list[Worker], work: Work, listener: socket.socket, reader: int) -> int:
    while True:
        ready = wait([reader, *(worker.process.sentinel for worker in workers)])
        if reader in ready:
            os.read(reader, 1)
            return 0
        for place, worker in enumerate(workers):
            if worker.process.exitcode is None:
                continue
            if not worker.has_started:
                return 1
            _logger.error(
                "Worker %s ended with %s and is replaced",
                worker.process.pid,
                worker.process.exitcode,
            )
            workers[place] = Worker(work, listener)


def _pass_on(workers: list[Worker], reader: int, deadline: float) -> None:
    """Wait until the workers have ended or the deadline is over; pass each SIGINT on to them."""
    while (left := deadline - monotonic()) > 0:
        alive = [worker.process for worker in workers if worker.process.is_alive()]
        if not alive:
            return
        if reader in wait([reader, *(process.sentinel for process in alive)], left):
            name = os.read(reader, 1)[0]
            for process in alive if name == signal.SIGINT else ():
                os.kill(process.pid, name)  # type: ignore[arg-type]  # it was started


def _work(work: Work, listener: socket.socket, started: Event) -> None:
    # Ctrl-C reaches the whole process group; the master sends each worker a SIGTERM first.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    work(listener, started.set)
