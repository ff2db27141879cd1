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

    def stop(self, deadline: float) -> None:
        """Wait for the process until the deadline (`time.monotonic`), then kill it."""
        self.process.join(max(0, deadline - monotonic()))
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def run_workers(work: Work, listener: socket.socket, count: int, patience: float) -> int:
    """Keep `count` workers running until SIGINT or SIGTERM; returns the server's exit code.

    The code is 0 after a clean stop, 1 if a worker could not start. Workers that are still busy
    `patience` seconds after the signal are killed. Call it in the main thread.
    """
    reader, writer = os.pipe()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: os.write(writer, b"."))
    workers = [Worker(work, listener) for _ in range(count)]
    try:
        return _watch(workers, work, listener, reader)
    finally:
        for worker in workers:
            worker.process.terminate()
        deadline = monotonic() + patience
        for worker in workers:
            worker.stop(deadline)


def _watch(workers: list[Worker], work: Work, listener: socket.socket, reader: int) -> int:
    while True:
        ready = wait([reader, *(worker.process.sentinel for worker in workers)])
        if reader in ready:
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


def _work(work: Work, listener: socket.socket, started: Event) -> None:
    # Ctrl-C reaches the whole process group; the master sends each worker a SIGTERM instead.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    work(listener, started.set)
