"""Server processes forked from one that has imported the application.

The imports are nearly all of what a start costs, so a suite with many servers pays for them once.
"""

import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

_LARGEST_REQUEST = 1 << 20


class ForkedProcess:
    """A process that `ForkServer.start` started, with the methods of `subprocess.Popen` that
    `LiveServer` uses. It leads a session of its own."""

    def __init__(self, channel: socket.socket, command: Sequence[str], output: int) -> None:
        self._channel = channel
        self._command = command
        self.pid: int = int.from_bytes(channel.recv(4), "little")
        if not self.pid:
            raise RuntimeError("the fork server has ended")
        self.returncode: int | None = None
        self.stdout = os.fdopen(output, encoding="utf-8", errors="replace")

    def poll(self) -> int | None:
        """The exit code, negative for a signal, or None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; returns the exit code. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not _readable(self._channel, timeout=timeout):
                raise subprocess.TimeoutExpired(self._command, timeout or 0)
            self.returncode = int.from_bytes(self._channel.recv(4), "little", signed=True)
            self._channel.close()
        return self.returncode

    def send_signal(self, sign: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, sign)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """A process that has imported *modules*, from which others are forked.

    It is started with the first of them, and ends when it is closed, or with its parent. The
    modules must start no thread when they are imported, and read nothing of the environment.
    """

    def __init__(self, modules: Sequence[str]) -> None:
        self._modules = modules
        self._channel: socket.socket | None = None

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], cwd: Path | None
    ) -> ForkedProcess:
        """Start `python *command` ("-c" and code, "-m" and a module, or a script) with exactly
        *environment*.

        What it writes, to stdout and stderr, is read from its `stdout`.
        """
        if command[0].startswith("-") and command[0] not in ("-c", "-m"):
            raise ValueError(f"{command[0]} is an option of Python: it needs a start, not a fork")
        for name, value in environment.items():
            if name.startswith("PYTHON") and value != os.environ.get(name):  # noqa: TID251  # its own
                raise ValueError(f"{name} is read by Python itself: it needs a start, not a fork")
        if self._channel is None:
            self._channel = self._begin()
        ours, theirs = socket.socketpair()
        reading, writing = os.pipe()
        request = {"command": [*command], "environment": {**environment}, "cwd": str(cwd or "")}
        with theirs:
            try:
                socket.send_fds(
                    self._channel, [json.dumps(request).encode()], [theirs.fileno(), writing]
                )
            finally:
                os.close(writing)
        return ForkedProcess(ours, command, reading)

    def close(self) -> None:
        """End the server; processes that were started from it go on."""
        if self._channel is not None:
            self._channel.close()
            self._process.wait()
            self._channel = None

    def _begin(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno()), *self._modules],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # buffered, as the pipes are
            )
        return ours


def _serve(channel: socket.socket) -> dict[str, Any] | None:
    """Fork for each request. Returns the request in the child, and None at the end."""
    woken, wakes = socket.socketpair()
    wakes.setblocking(False)
    signal.set_wakeup_fd(wakes.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the terminal of the tests
    running: dict[int, socket.socket] = {}
    while True:
        ready = _readable(channel, woken)
        if woken in ready:
            woken.recv(4096)
            _send_exit_codes(running)
        if channel not in ready:
            continue
        message, handles, _, _ = socket.recv_fds(channel, _LARGEST_REQUEST, 2)
        if not message:
            return None
        watcher, output = socket.socket(fileno=handles[0]), handles[1]
        child = os.fork()
        if not child:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.setsid()
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.close(output)
            for each in (channel, woken, wakes, watcher, *running.values()):
                each.close()
            request: dict[str, Any] = json.loads(message)
            return request
        os.close(output)
        watcher.sendall(child.to_bytes(4, "little"))
        running[child] = watcher


def _readable(*channels: socket.socket, timeout: float | None = None) -> list[socket.socket]:
    """Those that can be read, within so many seconds; not `select`, which ends at 1024 files."""
    poll = select.poll()
    for channel in channels:
        poll.register(channel, select.POLLIN)
    ready = {number for number, _ in poll.poll(None if timeout is None else timeout * 1000)}
    return [channel for channel in channels if channel.fileno() in ready]


def _send_exit_codes(running: dict[int, socket.socket]) -> None:
    while running:
        child, status = os.waitpid(-1, os.WNOHANG)
        if not child:
            return
        with running.pop(child) as watcher, suppress(OSError):
            code = os.waitstatus_to_exitcode(status)
            watcher.sendall(code.to_bytes(4, "little", signed=True))


def _run(request: dict[str, Any]) -> None:
    """Do what `python *command` does; what it raises leaves the interpreter as it does there."""
    os.environ.clear()  # noqa: TID251  # the environment of the started process
    os.environ.update(request["environment"])  # noqa: TID251
    time.tzset()
    if request["cwd"]:
        os.chdir(request["cwd"])
    sys.argv = command = request["command"]
    if command[0] == "-c":
        sys.argv = ["-c", *command[2:]]
        main = sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(command[1], "<string>", "exec"), vars(main))  # the code of the test
    elif command[0] == "-m":
        sys.path[0] = os.getcwd()
        sys.argv = command[1:]
        runpy.run_module(command[1], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(command[0]).resolve().parent)
        runpy.run_path(command[0], run_name="__main__")


if __name__ == "__main__":
    for _module in sys.argv[2:]:
        import_module(_module)
    gc.freeze()  # or each process would copy the pages of all modules when it collects
    if _request := _serve(socket.socket(fileno=int(sys.argv[1]))):
        _run(_request)
