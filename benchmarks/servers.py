"""The servers that are measured, each as one process, and a login on them."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Mapping
from contextlib import ExitStack
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
TWIN_BIN = ROOT / "benchmarks" / "flask_twin" / ".venv" / "bin"
SECRET_KEY = "benchmarks-only-0123456789abcdef0123456789"
CORES = os.cpu_count() or 1

QUARTAPP = "quartapp-hypercorn"
TUTORIAL, TUNED = "flask-twin", "flask-tuned"
TWINS = (TUTORIAL, TUNED)


def on_core(core: int) -> list[str]:
    """A prefix that pins a command to one core, if there are two cores and `taskset`."""
    return ["taskset", "-c", str(core)] if CORES > 1 and shutil.which("taskset") else []


class Server:
    """A server process. `close()` ends it; also usable in a `with` statement.

    With `pinned` it has one core and the load another; without, they share all cores, as on a
    machine that nobody configured. `root` may be another checkout, with its `python`.
    """

    def __init__(
        self,
        name: str,
        database_url: str,
        *,
        threads: int = 0,
        pinned: bool = True,
        root: Path = ROOT,
        python: str = sys.executable,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.name, self.threads, self.pinned, self._python = name, threads, pinned, python
        self.port = _free_port()
        self.folder = tempfile.mkdtemp(prefix="quartapp-bench-")
        environment = os.environ | {
            "DATABASE_URL": database_url,
            "SECRET_KEY": SECRET_KEY,
            "INSTANCE_PATH": f"{self.folder}/instance",
            "LOG_DIR": f"{self.folder}/logs",
            "LOG_MAX_BYTES": "10240",  # that of the tutorial, and of the twin
            "COOKIE_SECURE": "false",
            "THROTTLING": "false",
            "TWIN": "tuned" if name == TUNED else "",
            "PYTHONPATH": str(root),
            **(settings or {}),
        }
        # Let Python cache bytecode, as on any server that is started more than once.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self.log = open(f"{self.folder}/output.txt", "w")  # noqa: SIM115 closed by close()
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [*(on_core(0) if pinned else []), *self._command()],
            cwd=root,
            env=environment,
            stdout=self.log,
            stderr=self.log,
        )
        self.cookie = ""
        try:
            self._wait()
        except BaseException:
            self.close()
            raise
        self.start_seconds = time.monotonic() - self.started

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        processes = self.tree() if self.is_running() else []
        self.process.terminate()
        # A twin whose threads wait for a mail server does not end; its worker must not go on.
        _, alive = psutil.wait_procs(processes, timeout=10)
        for each in alive:
            each.kill()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _command(self) -> list[str]:
        if not self.name.startswith(("flask", "floor-gunicorn")):
            kind = self.name.removeprefix("quartapp-")
            return [self._python, "-m", "benchmarks.serve", kind, str(self.port)]
        bind = f"127.0.0.1:{self.port}"
        options = ["--workers", "1", "--worker-class", "gthread", "--threads", str(self.threads)]
        options += ["--bind", bind, "--log-level", "info", "--keep-alive", "75"]
        is_floor = self.name == "floor-gunicorn"
        app = "benchmarks.floor:wsgi" if is_floor else "benchmarks.flask_twin.twin:app"
        return [str(TWIN_BIN / "gunicorn"), *options, app]

    def _wait(self) -> None:
        while True:
            if self.process.poll() is not None or time.monotonic() - self.started > 60:
                output = Path(self.log.name).read_text()[-2000:]
                raise RuntimeError(f"{self.name} did not start:\n{output}")
            try:
                if self.get("/ping")[0] == 200:
                    return
            except OSError:
                time.sleep(0.005)

    def is_running(self) -> bool:
        return self.process.poll() is None

    def tree(self) -> list[psutil.Process]:
        me = psutil.Process(self.process.pid)
        return [me, *me.children(recursive=True)]

    def cpu_seconds(self) -> float:
        """CPU seconds of the process and its children since they started."""
        return sum(sum(each.cpu_times()[:2]) for each in self.tree())

    def memory_bytes(self) -> int:
        """The memory of the processes, with shared pages in proportion (PSS)."""
        return sum(each.memory_full_info().pss for each in self.tree())

    def get(self, path: str, **headers: str) -> tuple[int, str, HTTPResponse]:
        return self.request("GET", path, None, **headers)

    def request(
        self, method: str, path: str, body: str | None, **headers: str
    ) -> tuple[int, str, HTTPResponse]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, names)
            response = connection.getresponse()
            return response.status, response.read().decode(), response
        finally:
            connection.close()

    def submit(self, path: str, cookie: str = "", **values: str) -> tuple[int, str, str]:
        """Load a page with a form and send it; return status, cookies, and what was sent."""
        _, page, response = self.get(path, Cookie=cookie)
        cookie = merge(cookie, response)
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
        token = found[1] if found else ""
        body = urllib.parse.urlencode({"csrf_token": token, **values})
        kind = "application/x-www-form-urlencoded"
        status, _, response = self.request("POST", path, body, Cookie=cookie, Content_Type=kind)
        return status, merge(cookie, response), body

    def log_in(self) -> str:
        """Log in as susan; return the header Cookie, as it is after looking at a page."""
        if not self.cookie:
            status, cookie, _ = self.submit("/login", username="susan", password="cat-on-the-mat")
            if status not in {302, 303}:
                raise RuntimeError(f"{self.name}: the login was answered with {status}")
            _, _, response = self.get("/", Cookie=cookie)
            self.cookie = merge(cookie, response)
        return self.cookie


class Servers(ExitStack):
    """The servers of one database, pinned or not. Each is started when it is first needed."""

    def __init__(self, url: str, token: str, *, pinned: bool) -> None:
        super().__init__()
        self.url, self.token, self.pinned = url, token, pinned
        self._started: dict[tuple[str, int], Server] = {}
        # What was chosen and measured for a scenario and a number of clients (`cells`).
        self.chosen: dict[tuple[str, int], dict[str, Server]] = {}
        self.measured: dict[tuple[str, int], dict[str, list[Any]]] = {}

    def get(self, name: str, threads: int = 0) -> Server:
        if (name, threads) not in self._started:
            server = Server(name, self.url, threads=threads, pinned=self.pinned)
            self._started[name, threads] = self.enter_context(server)
        return self._started[name, threads]


def merge(cookie: str, response: HTTPResponse) -> str:
    """The header Cookie to send after a response."""
    jar = dict(part.split("=", 1) for part in cookie.split("; ") if part)
    for header in response.headers.get_all("Set-Cookie") or []:
        name, _, value = header.partition(";")[0].partition("=")
        jar[name] = value
    return "; ".join(f"{name}={value}" for name, value in jar.items() if value)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
