"""A program in a folder of its own, whose code and settings tests change while it serves."""

import json
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from quartapp.serving.status import read_status, reload
from quartapp.testing import LiveServer

PROGRAM = """
import asyncio, json, os, pathlib, sys
import version
from quartapp.serving import server
from quartapp.serving.settings import ServingSettings

FOLDER = pathlib.Path(__file__).parent

class Logger:
    def error(self, message, *details):
        print("LOGGED " + message % details, flush=True)

    warning = info = error

class App:
    def __init__(self):
        self.config = json.loads((FOLDER / "settings.json").read_text())
        self.logger = Logger()

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            await version.start()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        if scope["path"] == "/slow":
            print("The slow request begins", flush=True)
            while not (FOLDER / "release").exists():
                await asyncio.sleep(0.02)
        answer = {"pid": os.getpid(), "version": version.VERSION, "name": self.config.get("NAME")}
        body = json.dumps(answer).encode()
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

if __name__ == "__main__":
    settings = ServingSettings.from_config(App().config)
    sys.exit(server.run(App, settings.model_copy(update={"pid_file": str(FOLDER / "server.pid")})))
"""
VERSION = "VERSION = {!r}\nasync def start(): {}\n"
HANGS = "await __import__('asyncio').sleep(60)"


class Site:
    """A program in a folder of its own, which serves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pid_file = folder / "server.pid"
        self.settings: dict[str, Any] = {}
        self.live: LiveServer

    def configure(self, **settings: object) -> None:
        self.settings |= settings
        (self.folder / "settings.json").write_text(json.dumps(self.settings))

    def deploy(self, version: str, start: str = "pass", *, code: str = VERSION) -> None:
        # A file of the same size and second counts as unchanged.
        (self.folder / "version.py").write_text(code.format(version, start) + "#" * self._step())

    def _step(self) -> int:
        self.steps = getattr(self, "steps", 0) + 1
        return self.steps

    def reload(self) -> None:
        reload(self.pid_file, 60)

    def status(self, name: str) -> Any:
        status = read_status(self.pid_file)
        return status and status[name]

    def answer(self, path: str = "/") -> dict[str, Any]:
        connection = HTTPConnection(urlsplit(self.live.url).netloc, timeout=60)
        connection.request("GET", path)
        with connection.getresponse() as response:
            found: dict[str, Any] = json.loads(response.read())
            found["connection"] = response.headers["connection"]
        connection.close()
        return found

    def versions(self) -> set[str]:
        return {self.answer()["version"] for _ in range(6)}

    def workers(self) -> list[psutil.Process]:
        found = psutil.Process(self.live.process.pid).children()
        return [each for each in found if "resource_tracker" not in "".join(each.cmdline())]


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
