"""A small site that fails in every way, served through the debugger's ASGI application."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, NoReturn

from quart import Quart, Response, g, session

from quartapp.debugger.server.access import Access
from quartapp.debugger.server.debugger import Debugger
from quartapp.debugger.server.hooks import set_debugger
from quartapp.debugger.server.hosting import Hosting
from quartapp.flasklike import App, render_template

PIN = "123-456-789"
HOST = {"host": "127.0.0.1:5000"}
HTML = {"accept": "text/html"}
TEMPLATES = Path(__file__).parent / "templates"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Site:
    """The application with its debugger, and a browser on the same machine."""

    app: Quart
    debugger: Debugger
    hosting: Hosting
    said: list[str]
    released: list[dict[str, Any]]
    cookies: dict[str, str] = field(default_factory=dict)

    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        peer: str = "127.0.0.1",
        query: bytes = b"",
    ) -> Answer:
        """One request over ASGI; `headers` replace those of a browser on this machine."""
        sent = HOST | (headers or {})
        if self.cookies:
            sent.setdefault("cookie", "; ".join(f"{k}={v}" for k, v in self.cookies.items()))
        scope = _scope("http", path, sent) | {
            "method": method,
            "query_string": query,
            "client": (peer, 40000),
        }
        request = {"type": "http.request", "body": body, "more_body": False}
        answer = await self._exchange(scope, request)
        headers = {k.decode().lower(): v.decode() for k, v in answer[0]["headers"]}
        if cookie := headers.get("set-cookie"):
            self.cookies |= {k: v.value for k, v in SimpleCookie(cookie).items()}
        data = b"".join(message.get("body", b"") for message in answer[1:])
        return Answer(answer[0]["status"], headers, data)

    async def connect(self, path: str) -> list[str]:
        """Open a websocket and wait for its end; returns the types of what was sent."""
        scope = _scope("websocket", path, HOST) | {"scheme": "ws", "subprotocols": []}
        sent = await self._exchange(scope, {"type": "websocket.connect"})
        return [message["type"] for message in sent]

    async def _exchange(self, scope: dict[str, Any], first: dict[str, Any]) -> list[dict[str, Any]]:
        waiting = [first]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if waiting:
                return waiting.pop()
            await asyncio.Event().wait()
            raise AssertionError("unreachable")

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.hosting(scope, receive, send)
        return sent

    async def command(self, path: str, body: object, **headers: str) -> Answer:
        """A command as the page's own script sends it, from a same-origin page."""
        sent = {
            "x-debugger-secret": self.debugger.access.secret,
            "content-type": "application/json",
            "sec-fetch-site": "same-origin",
            "origin": "http://127.0.0.1:5000",
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        peer = sent.pop("peer", "127.0.0.1")
        data = json.dumps(body).encode()
        return await self.request(
            "POST", f"/__debugger__{path}", headers=sent, body=data, peer=peer
        )

    async def unlock(self) -> None:
        assert (await self.command("/unlock", {"pin": PIN})).status == 200

    @property
    def failure_id(self) -> str:
        return str(self.newest.id)

    @property
    def newest(self) -> Any:
        return next(iter(self.debugger.store))

    def frame_of(self, function: str) -> int:
        """The number of the last frame whose function has this name, over all sections."""
        frames = [f for section in self.newest.sections for f in section.frames]
        return int([f.number for f in frames if f.function.split(".")[-1] == function][-1])

    async def fail(self) -> str:
        """Make the site fail once; returns the path to which commands for this failure are sent."""
        await self.request("GET", "/fail", headers=HTML)
        return f"/failures/{self.failure_id}/run"

    def body(self, code: str = "1 + 1") -> dict[str, object]:
        """Send a command for the frame of the view that failed."""
        return {"frame": self.frame_of("fail"), "code": code}

    async def run(self, code: str, function: str = "fail", **extra: Any) -> Any:
        """Type a command into the frame of a function of the newest failure."""
        body = {"frame": self.frame_of(function), "code": code} | extra
        answer = await self.command(f"/failures/{self.failure_id}/run", body)
        assert answer.status == 200, answer.text
        return answer.json


def _scope(kind: str, path: str, headers: dict[str, str]) -> dict[str, Any]:
    return {
        "type": kind,
        "asgi": {"spec_version": "2.3", "version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items() if v],
        "client": ("127.0.0.1", 40000),
        "server": ("127.0.0.1", 5000),
        "extensions": {},
        "state": {},
    }


def make_site(**changed: Any) -> Site:
    """The site that fails in every way."""
    app = App(__name__, template_folder=str(TEMPLATES))
    app.secret_key = "development"
    site = host(app, **changed)
    add_routes(app)
    return site


def host(app: Quart, *, debugger: bool = True, **changed: Any) -> Site:
    """An application as the development server hosts it; without *debugger*, as --no-debugger."""
    said: list[str] = []
    released: list[dict[str, Any]] = []
    options: dict[str, Any] = {"port": 5000, "pin": PIN} | changed

    async def release_sessions(namespace: Any) -> None:
        released.append(dict(namespace))

    made = Debugger(
        Access(**options),
        address="http://127.0.0.1:5000",
        say=said.append,
        names=lambda _names: {"extra": 42},
        release_sessions=release_sessions,
    )
    hosting = Hosting(made, log=lambda error: said.append(repr(error)))
    hosting.load(lambda: app)
    app.debug = True
    if debugger:
        set_debugger(app, made)
    return Site(app, made, hosting, said, released)


class EvilMessage(Exception):
    def __str__(self) -> str:
        return "<script>alert(1)</script>\x1b[31mred"


class BrokenStr(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text either")


class BrokenRepr:
    def __repr__(self) -> str:
        raise ValueError("no repr")


def add_routes(app: App) -> None:
    @app.route("/fail", methods=["GET", "POST"])
    async def fail() -> NoReturn:
        visitor = "susan"
        password = "open-sesame"
        form = {"username": visitor, "password": password}
        copied = f"{password} again"
        broken = BrokenRepr()
        g.answer = 42
        session["cart"] = ["tea"]
        raise ValueError(visitor, len(form), len(copied), type(broken).__name__)

    @app.get("/evil")
    async def evil() -> NoReturn:
        markup = "<img src=x onerror=alert(2)>"
        raise EvilMessage(markup)  # <script>alert(3)</script>

    @app.get("/broken-str")
    async def broken_str() -> NoReturn:
        raise BrokenStr

    @app.get("/chain")
    async def chain() -> str:
        try:
            inner()
        except KeyError as error:
            raise LookupError("outer") from error
        return ""

    def inner() -> NoReturn:
        raise KeyError("inner")

    @app.get("/group")
    async def group() -> str:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(member("one"))
            tasks.create_task(member("two"))
        return ""

    async def member(name: str) -> NoReturn:
        hint = f"member {name}"
        raise RuntimeError(hint)

    @app.get("/deep")
    async def deep() -> str:
        dig(0)
        return ""

    def dig(depth: int) -> None:
        dig(depth + 1)

    @app.get("/template")
    async def template() -> str:
        return await render_template("broken.html", items=[1])

    @app.get("/generated")
    async def generated() -> str:
        exec(
            compile(
                "def invented():\n    raise OSError('nowhere')\ninvented()", "<made up>", "exec"
            )
        )
        return ""

    @app.get("/stream")
    async def stream() -> Response:
        async def body() -> AsyncIterator[bytes]:
            yield b"begun"
            raise OSError("in the middle")

        return Response(body())

    @app.get("/background")
    async def background() -> str:
        app.add_background_task(task)
        return "later"

    async def task() -> NoReturn:
        errand = "fetch milk"
        raise RuntimeError(errand)

    @app.get("/frozen")
    async def frozen() -> NoReturn:
        raise Frozen(1)


@dataclass(frozen=True)
class Frozen(Exception):
    code: int
