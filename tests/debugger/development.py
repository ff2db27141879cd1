"""The development command as a developer runs it: a process, its terminal, and edited files."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

TIMEOUT = 60.0

APPLICATION = """\
from quartapp.flasklike import App

app = App(__name__)


@app.get("/")
async def index():
    return "first"


@app.get("/fail")
async def fail():
    visitor = "susan"
    raise RuntimeError(visitor)
"""


class Development:
    """A running development server."""

    def __init__(self, process: "subprocess.Popen[str]", folder: Path) -> None:
        self.process = process
        self.folder = folder
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = self.wait_for(r"Development server of \S+: (http://\S+)")
        # Shorter than the server keeps a connection, so that it closes none while we use it.
        kept = httpx.Limits(keepalive_expiry=1)
        self.client = httpx.Client(base_url=self.url, timeout=TIMEOUT, limits=kept, trust_env=False)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))

    @property
    def terminal(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, pattern: str) -> str:
        """The first group of the pattern, found in the terminal's text, or the whole match."""
        deadline = time.monotonic() + TIMEOUT
        while not (match := re.search(pattern, self.terminal)):
            assert time.monotonic() < deadline, f"no {pattern!r} in:\n{self.terminal}"
            assert self.process.poll() is None or self._reader.is_alive(), self.terminal
            time.sleep(0.02)
        return match[match.lastindex or 0]

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """Send a request as a browser does: again, if a kept connection was closed first.

        A server may close a kept connection at the moment of the next request (RFC 9112, 9.3.1).
        Raises if it refuses connections.
        """
        try:
            return self.client.get(path, headers=headers)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            return self.client.get(path, headers=headers)

    def wait_for_text(
        self, path: str, text: str, pause: float = 0.1, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """The answer as soon as it contains this text, with `pause` seconds between two
        requests."""
        deadline = time.monotonic() + TIMEOUT
        while text not in (answer := self.get(path, headers)).text:
            assert time.monotonic() < deadline, answer.text
            time.sleep(pause)
        return answer

    def unlock(self, page: str) -> dict[str, str]:
        """Send the PIN for this client; returns the headers that a page's commands need."""
        headers = {"x-debugger-secret": page.split('data-secret="')[1].split('"')[0]}
        pin = self.wait_for(r"Debugger PIN: (\S+)")
        answer = self.client.post("/__debugger__/unlock", json={"pin": pin}, headers=headers)
        assert answer.status_code == 200
        return headers

    def path_of(self, page: str) -> str:
        """The address to which the commands of a page are sent."""
        return "/__debugger__/failures/" + page.split('data-id="')[1].split('"')[0]

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.write_text(text)
        # With a clock of whole seconds, an edit that keeps the length would not be seen.
        os.utime(path, ns=(time.time_ns(), time.time_ns()))

    def stop(self) -> int:
        """Send SIGINT to the whole process group, as a terminal does for Ctrl+C."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        self.client.close()
        code = self.process.wait(TIMEOUT)
        self._reader.join(TIMEOUT)
        return code


def command(*arguments: str, app: str = "shop", python: str = sys.executable) -> list[str]:
    named = ["--app", app] if app else []
    return [python, "-m", "quart", *named, "dev", "--port", "0", *arguments]


@contextmanager
def development(
    folder: Path,
    *arguments: str,
    app: str = "shop",
    environment: Mapping[str, str] | None = None,
    python: str = sys.executable,
) -> Iterator[Development]:
    """Run the command in a folder until the block ends; no process is left over."""
    variables = {k: v for k, v in os.environ.items() if k not in {"CI", "PORT", "ENVIRONMENT"}}
    process = subprocess.Popen(
        command(*arguments, app=app, python=python),
        cwd=folder,
        env=variables | dict(environment or {}),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    server = None
    try:
        server = Development(process, folder)
        yield server
    finally:
        if server is not None:
            server.stop()
        else:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.stderr is not None:
            process.stderr.close()
