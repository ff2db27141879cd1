"""Several worker processes on one socket, and the master that owns them.

Hypercorn's own master stops all workers as soon as one ends, and reports a failed start as success.
This one replaces a worker that died, and fails when a worker cannot start. The replacement receives
how its predecessor ended, and reports it. While workers keep crashing soon after their start, each
is replaced after a pause, which doubles each time.

At SIGHUP the master replaces the workers one by one: a new one, which has newer code and settings,
has to serve before an old one leaves. If a new one cannot start, the others stay.
"""

import logging
import os
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from time import monotonic
from types import FrameType

from quartapp.serving import stacks
from quartapp.serving.process import Death, Serve, Worker
from quartapp.serving.reloading import HANDED_OVER, Progress
from quartapp.serving.service import Service
from quartapp.serving.signals import PASSED_ON
from quartapp.serving.stopping import DRAIN, EXIT_FAILED, HURRY, SIGHURRY
from quartapp.serving.supervisor import notify, watchdog_interval
from quartapp.serving.terminal import say

_logger = logging.getLogger(__name__)

SOON = 5.0
"""A worker that ends within this many seconds of serving counts as crashed at once."""

LONGEST_PAUSE = 16.0
"""The longest pause before a worker is replaced, in seconds. There is no pause after the first two
crashes, and one second after the third."""


@dataclass
class Reload:
    """A reload that runs: the workers that are to leave, and the one that starts."""

    old: list[Worker]
    starting: Worker
    before: Service
    replaced: int = 0


class Master:
    """Keeps workers running. `service` is what new ones serve."""

    def __init__(
        self,
        serve: Serve,
        service: Service,
        listener: socket.socket,
        progress: Progress,
        first: Sequence[Worker] = (),
    ) -> None:
        self.service = service
        self.workers = list(first)
        self.has_begun = bool(first)
        self.wants_reload = False
        self._serve = serve
        self._listener = listener
        self._progress = progress
        self._leaving: dict[Worker, float] = {}
        self._due: list[tuple[float, Death]] = []
        self._crashes = 0
        self._reload: Reload | None = None

    @property
    def all_workers(self) -> list[Worker]:
        """Those that serve, those that leave, and one that starts in a reload."""
        starting = [self._reload.starting] if self._reload else []
        return [*self.workers, *self._leaving, *starting]

    def start(self, death: Death = ()) -> Worker:
        """A new worker, with the newest code."""
        return Worker(self._serve, self.service, self._listener, death)

    def watch(self, reader: int) -> int:
        """Replace workers that end, until a signal other than SIGHUP arrives. Returns the exit
        code."""
        beat = watchdog_interval()
        while True:
            ended = [worker for worker in self.workers if worker.has_ended()]
            if not self.has_begun and (code := self._begin(ended)):
                return code
            self._replace(ended)
            self._see_off()
            if self._reload is not None:
                self._go_on(self._reload)
            if self._reload is None and self.wants_reload and self.has_begun:
                self._begin_reload()
            handles = [handle for worker in self.all_workers for handle in worker.handles]
            if reader in wait([reader, *handles], self._pause(beat)):
                is_hangup = os.read(reader, 1)[0] == signal.SIGHUP
                asked = self._progress.asked() if is_hangup else "stop"
                if asked == "stop":
                    return 0
                self.wants_reload = self.wants_reload or asked == "reload"
            if beat is not None:
                notify("WATCHDOG=1")

    def _begin(self, ended: list[Worker]) -> int:
        """Until all workers have started, one that cannot is the end. Returns the exit code."""
        if any(not worker.has_started for worker in ended):
            for reason in dict.fromkeys(worker.failure for worker in ended if worker.failure):
                say(reason)
            return EXIT_FAILED
        if all(worker.has_started for worker in self.workers):
            self.has_begun = True
            self.service = self.workers[0].service
            self._progress.started()
        return 0

    def _replace(self, ended: list[Worker]) -> None:
        for worker in ended:
            self.workers.remove(worker)
            if self._reload is not None and worker in self._reload.old:
                self._reload.old.remove(worker)  # what replaces it is new
            crashed = worker.age < SOON or not worker.has_started
            self._crashes = self._crashes + 1 if crashed else 0
            pause = min(2.0 ** (self._crashes - 3), LONGEST_PAUSE) if self._crashes > 2 else 0.0
            death = worker.death(pause)
            _logger.error("Worker %s is replaced", worker.process.pid)
            _logger.error(*death)
            self._due.append((monotonic() + pause, death))
        self._due.sort()
        while self._due and self._due[0][0] <= monotonic():
            self.workers.append(self.start(self._due.pop(0)[1]))

    def _see_off(self) -> None:
        """Forget old workers that have ended, and kill those that do not end."""
        for worker, deadline in list(self._leaving.items()):
            if worker.has_ended() or deadline <= monotonic():
                worker.stop(monotonic())
                del self._leaving[worker]

    def _begin_reload(self) -> None:
        self.wants_reload = False
        self._progress.begun()
        self._reload = Reload(list(self.workers), self.start(), self.service)

    def _go_on(self, reload: Reload) -> None:
        worker = reload.starting
        worker.has_ended()
        if worker.has_started:
            self.workers.append(worker)
            self.service = worker.service
            reload.replaced += 1
            for old in reload.old[:1]:
                self._dismiss(old, reload)
            if reload.replaced < self.service.settings.workers:
                reload.starting = self.start()
                return
            for old in reload.old[:]:
                self._dismiss(old, reload)
            self._reload = None
            self._progress.ended(reload.before, self.service)
        elif reason := worker.start_fault():
            self._reload = None
            worker.process.terminate()
            self._leaving[worker] = monotonic() + HURRY
            if reload.replaced:
                reason = f"after {reload.replaced} replaced: {reason}"
            self._progress.failed(reason, self._log)

    def _dismiss(self, worker: Worker, reload: Reload) -> None:
        """Have an old worker finish what it has begun, and stop."""
        reload.old.remove(worker)
        if worker in self.workers:
            self.workers.remove(worker)
        worker.is_leaving = True
        worker.tell("drain")
        self._leaving[worker] = monotonic() + DRAIN + worker.patience

    def _log(self, message: str, *details: str) -> None:
        """Log an error with the application's logger, so that it is reported."""
        for worker in self.workers:
            if worker.has_started and worker.tell("log", message, *details):
                return
        _logger.error(message, *details)

    def _pause(self, beat: float | None) -> float | None:
        """Seconds after which something is due, if no worker changes."""
        times = [*(time for time, _ in self._due), *self._leaving.values()]
        left = [time - monotonic() for time in times]
        if self._reload is not None:
            left.append(self._reload.starting.time_to_start())
        if beat is not None:
            left.append(beat)
        return max(0.0, min(left)) if left else None


def run_workers(
    serve: Serve,
    service: Service,
    listener: socket.socket,
    progress: Progress,
    *,
    first: Sequence[Worker] = (),
    pending: Sequence[int] = (),
) -> int:
    """Keep workers running until SIGINT or SIGTERM; returns the server's exit code.

    The code is 0 after a clean stop, 1 if a worker could not start or did not stop cleanly. The
    listener is closed at the signal, so that no client waits in its queue for a worker. A SIGINT
    after the first signal makes the workers hurry (SIGHURRY). Workers that are still alive
    when their time limit has passed are killed. Call it in the main thread.

    `first` are workers that serve already, and `pending` signals that arrived before this call.
    """
    reader, writer = os.pipe()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda number, _: os.write(writer, bytes([number])))
    os.write(writer, bytes(pending))
    master = Master(serve, service, listener, progress, first)
    _pass_on_to(master)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDED_OVER)
    missing = service.settings.workers - len(first)
    master.workers += [master.start() for _ in range(missing)]
    try:
        code = master.watch(reader)
    finally:
        notify("STOPPING=1")
        listener.close()
        workers = master.all_workers
        for worker in workers:
            worker.process.terminate()
        deadline = monotonic() + max((worker.patience for worker in workers), default=0.0)
        _pass_on(workers, reader, deadline)
        for worker in workers:
            worker.stop(deadline)
    return code or int(any(worker.has_failed for worker in workers))


def _pass_on_to(master: Master) -> None:
    """Pass on the signals of `signals` to the workers that have started."""
    stacks.write_at_signal(None, None)
    own = {signal.SIGQUIT: signal.getsignal(signal.SIGQUIT)}

    def pass_on(number: int, frame: FrameType | None) -> None:
        for worker in master.all_workers:
            if worker.has_started and worker.process.exitcode is None:
                os.kill(worker.process.pid, number)  # type: ignore[arg-type]  # it was started
        if callable(handler := own.get(signal.Signals(number))):
            handler(number, frame)

    for name in PASSED_ON:
        signal.signal(name, pass_on)


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
