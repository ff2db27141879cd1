"""A real server in a separate process, for tests of sockets, signals and exit codes."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from quartapp.testing.forkserver import ForkedProcess, ForkServer

_RUNNING = re.compile(r"[Rr]unning on (https?://[^\s,]+)")


class ServerFailedError(AssertionError):
    """The server ended, or did not start in time; the text contains its output."""


class LiveServer:
    """A server process, started and stopped by a `with` block.

    `command` has the arguments with which the interpreter `python` serves. The process gets only
    `environment`, PATH, HOME and the like, so the developer's settings have no effect. PORT=0 lets
    the kernel choose a port, and `url` is read from the line "Running on".

    With `fork_server` the process is forked instead of started: it has imported already what the
    fork server has. Variables that Python reads itself (PYTHON*) need a start: ValueError.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        command: Sequence[str],
        *,
        cwd: Path | None = None,
        timeout: float = 60,
        fork_server: ForkServer | None = None,
        python: str | Path = sys.executable,
    ) -> None:
        self.command = command
        self.environment = _plain_environment() | {"PORT": "0", **environment}
        self.cwd = cwd
        self.timeout = timeout
        self.python = python
        self.fork_server = fork_server
        self.process: subprocess.Popen[str] | ForkedProcess
        self.lines: list[str] = []
        self.url = ""

    def __enter__(self) -> Self:
        if self.fork_server is None:
            self.process = subprocess.Popen(
                [self.python, *self.command],
                env=self.environment,
                cwd=self.cwd,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
        else:
            self.process = self.fork_server.start(self.command, self.environment, self.cwd)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self._wait_until_running()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Not `stop`, which reads the output to its end: a process of the group may keep it open.
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(self.timeout)
        self.kill()

    @property
    def output(self) -> str:
        """What the process has written so far, to stdout and stderr."""
        return "".join(self.lines)

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until the process has written `text` that many times.

        Raises ServerFailedError if it does not in time, or ends before.
        """
        deadline = time.monotonic() + self.timeout
        can_come = True
        while self.output.count(text) < times:
            if not can_come or time.monotonic() > deadline:
                raise ServerFailedError(f"{text!r} was not written:\n{self.output}")
            can_come = self._reader.is_alive()  # until all processes of the server have ended
            time.sleep(0.02)

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> int:
        """Ask the server to stop, and return its exit code."""
        self.process.send_signal(sign)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end of the process, and return its exit code."""
        code = self.process.wait(self.timeout)
        self._reader.join(self.timeout)
        return code

    def kill(self) -> None:
        """Kill the process and its workers."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(self.timeout)
        self._reader.join(self.timeout)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _read(self) -> None:
        if self.process.stdout is None:
            return
        for line in self.process.stdout:
            self.lines.append(line)

    def _wait_until_running(self) -> None:
        deadline = time.monotonic() + self.timeout
        while time.monotonic() < deadline:
            has_ended = self.process.poll() is not None
            if has_ended:
                self._reader.join(self.timeout)
            if found := _RUNNING.search(self.output):
                self.url = found[1]
                return
            if has_ended:
                raise ServerFailedError(
                    f"The server ended with {self.process.returncode}:\n{self.output}"
                )
            time.sleep(0.02)
        raise ServerFailedError(f"The server does not answer:\n{self.output}")


def serve(
    application: str | Callable[[], object],
    *,
    server: str = "hypercorn",
    cwd: Path | None = None,
    fork_server: ForkServer | None = None,
    **environment: str,
) -> LiveServer:
    """A server process with any ASGI application, on a free port, for a `with` block.

    `application` is what the server imports, "shop:app" or "shop:create_app()", from the folder
    `cwd` or from what is installed; or a function that makes the application, in a module that can
    be imported. `server` is "hypercorn" or "uvicorn". Other arguments are the environment.
    """
    if not isinstance(application, str):
        application = f"{application.__module__}:{application.__qualname__}()"
    commands = {
        "hypercorn": ["--bind", "127.0.0.1:0", "--workers", "0"],  # in the process itself
        "uvicorn": ["--port", "0"],
    }
    if server not in commands:
        raise ValueError(f"server={server!r}: expected one of {', '.join(commands)}")
    if server == "uvicorn" and application.endswith("()"):
        commands["uvicorn"].append("--factory")
        application = application.removesuffix("()")
    command = ["-m", server, application, *commands[server]]
    return LiveServer(environment, command, cwd=cwd, fork_server=fork_server)


def _plain_environment() -> dict[str, str]:
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "TZ")
    return {name: os.environ[name] for name in kept if name in os.environ}  # noqa: TID251 inherited
