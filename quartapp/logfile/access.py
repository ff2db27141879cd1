"""The access log: a line for each request and websocket, when it has ended.

Middleware makes it, so it is the same under all servers. What a server answers before it calls the
application, such as the 400 to what is no HTTP, is in no line.
"""

import asyncio
import re
import time
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Any
from urllib.parse import quote, urlsplit

from quart import Quart, has_websocket_context, request, websocket
from quart.signals import request_started, websocket_started

from quartapp.flasklike.asgi.scope import path_of
from quartapp.installation import ACCESS, Outer, wrap_outermost
from quartapp.logfile.structured import moment, of_request, one_line
from quartapp.redact.collect import SecretCollector
from quartapp.redact.scrub import Scrubber, cut
from quartapp.redact.secret_names import EVERYTHING, HIDDEN, hides
from quartapp.request_ids import request_id

CLIENT_LEFT = 499
"""The status of a request whose client left before the answer began, as nginx has it."""

_PATH, _AGENT, _REFERER, _CLIENT = 2000, 500, 500, 100
"""The most characters that a line has of each."""

_IN_SCOPE = "quartapp.access_log"

_STARTS = frozenset({"http.response.start", "websocket.http.response.start"})
_BODIES = frozenset({"http.response.body", "websocket.http.response.body", "websocket.send"})

Write = Callable[[str], None]


class AccessLog:
    """Makes the lines of an application, and passes them to `write` while it is set."""

    def __init__(self, app: Quart, *, as_json: bool, hops: int, scrubber: Scrubber) -> None:
        self.write: Write | None = None
        self._app = app
        self._as_json = as_json
        self._hops = hops
        self._scrubber = scrubber
        self._private: re.Pattern[str] | None = None
        self._safe_target = lru_cache(maxsize=1024)(self._target)
        self._safe_referer = lru_cache(maxsize=256)(self._referer)

    def install(self) -> None:
        """Put the middleware around the application."""
        wrap_outermost(self._app, partial(_AccessMiddleware, log=self), ACCESS)

    def begin(self, write: Write) -> None:
        """Write lines from now on, when all routes are known."""
        self.install()
        rules = [rule.rule for rule in self._app.url_map.iter_rules()]
        self._private = _private_paths(rules)
        self.write = write
        if self._as_json:
            request_started.connect(self._note_route, sender=self._app)
            websocket_started.connect(self._note_route, sender=self._app)

    async def _note_route(self, _sender: Quart, **_: object) -> None:
        found: Any = websocket if has_websocket_context() else request
        served = found.scope.get(_IN_SCOPE)
        if served is not None and found.url_rule is not None:
            served.route = found.url_rule.rule

    def note(self, served: "_Served", scope: Any, seconds: float) -> None:
        """Write the line of a request that took so long."""
        if self.write is None:
            return
        agent = referer = b""
        for name, value in scope["headers"]:
            if name == b"user-agent":
                agent = value
            elif name == b"referer":
                referer = value
        raw_path = scope.get("raw_path") or quote(scope["path"]).encode()
        facts = {
            "client": cut(client_of(scope, self._hops), _CLIENT),
            "method": cut(scope.get("method", "WEBSOCKET"), 50),
            "target": cut(
                self._safe_target(path_of(scope), raw_path, scope.get("query_string", b"")), _PATH
            ),
            "version": scope.get("http_version", "1.1"),
            "referer": self._safe_referer(referer) if referer else "",
            "agent": agent[:_AGENT].decode("latin-1"),
        }
        make = self._object if self._as_json else _combined
        self.write(make(served, facts, seconds))

    def _object(self, served: "_Served", facts: dict[str, str], seconds: float) -> str:
        method, target = facts["method"], facts["target"]
        path, _, query = target.partition("?")
        entry: dict[str, Any] = {
            "time": moment(time.time()),
            "level": "INFO",
            "logger": "access",
            "message": f"{method} {path} {served.status}",
        }
        entry |= of_request()
        entry |= {"method": method, "route": served.route, "path": path, "query": query}
        entry |= {"status": served.status, "bytes": served.bytes}
        entry |= {"duration_ms": round(seconds * 1000, 3), "client": facts["client"]}
        entry |= {"user_agent": facts["agent"], "referer": facts["referer"]}
        entry |= {"http_version": facts["version"], "complete": served.is_complete}
        return one_line(entry)

    def _target(self, path: str, raw_path: bytes, query: bytes) -> str:
        """The path and the query of a request, without secrets."""
        text = self._without_private(path, raw_path.decode("latin-1"))
        if query:
            text += f"?{query.decode('latin-1')}"
        return self._clean(text)

    def _referer(self, referer: bytes) -> str:
        """The page from which a client came, without its query."""
        try:
            parts = urlsplit(referer[:_PATH].decode("latin-1"))
            origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        except ValueError:
            return ""
        return cut(self._clean(origin + self._without_private(parts.path, parts.path)), _REFERER)

    def _without_private(self, path: str, shown: str) -> str:
        """The path as it is shown; of one with a secret in it what is before the secret."""
        found = self._private.match(path) if self._private is not None else None
        return f"{quote(found[0])}{HIDDEN}" if found else shown

    def _clean(self, text: str) -> str:
        collector = SecretCollector()
        collector.url(text)
        return self._scrubber.clean([text], secrets=collector.secrets)[0]


class _Served:
    """What is known of a request while it is served."""

    __slots__ = ("bytes", "is_complete", "route", "status")

    def __init__(self) -> None:
        self.status = self.bytes = 0
        self.route = ""
        self.is_complete = False

    def __deepcopy__(self, _memo: object) -> "_Served":
        """Itself: it is in the scope, of which Hypercorn's ProxyFixMiddleware makes a copy."""
        return self


class _AccessMiddleware(Outer):
    """ASGI middleware that counts what is sent, and has the line written at the end."""

    def __init__(self, inner: Any, log: AccessLog) -> None:
        super().__init__(inner, ACCESS)
        self._log = log

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in {"http", "websocket"} or _IN_SCOPE in scope:
            await self.asgi_app(scope, receive, send)
            return
        served = scope[_IN_SCOPE] = _Served()
        began = time.perf_counter()

        async def counted(message: Any) -> None:
            await send(message)
            kind = message["type"]
            if kind in _BODIES:
                served.bytes += len(message.get("body") or message.get("bytes") or b"")
                served.bytes += len((message.get("text") or "").encode("utf-8", "replace"))
                served.is_complete = not message.get("more_body", False)
            elif kind in _STARTS:
                served.status = message["status"]
            elif kind == "websocket.accept":
                served.status = 101
            elif kind == "websocket.close":
                served.status, served.is_complete = served.status or 403, True

        try:
            await self.asgi_app(scope, receive, counted)
        except asyncio.CancelledError:
            served.status = served.status or _status_of_cancelled(self._log._app)
            raise
        except BaseException:
            served.status = served.status or 500  # which the server answers
            raise
        finally:
            served.status = served.status or CLIENT_LEFT
            self._log.note(served, scope, time.perf_counter() - began)


def _status_of_cancelled(app: Any) -> int:
    """What a cancelled request is answered with by flasklike's App, outside of all middleware."""
    is_cut_off = getattr(app, "is_cut_off", None)
    if is_cut_off is None:
        return CLIENT_LEFT
    if is_cut_off():
        return 503
    return 500 if app.is_cancelled_by_itself() else CLIENT_LEFT


def client_of(scope: Any, hops: int) -> str:
    """The address of the client behind so many proxies; "" if it is unknown.

    As the middleware of `serving.proxies` finds it, which is further inside.
    """
    if hops:
        values = [
            each.decode("latin-1").strip()
            for name, value in scope["headers"]
            if name.lower() == b"x-forwarded-for"
            for each in value.split(b",")
        ]
        if len(values) >= hops:
            found: str = values[-hops]
            return found
    client = scope.get("client")
    return str(client[0]) if client else ""


_ARGUMENT = re.compile(r"<(?:[^:<>]*:)?([^<>]+)>")


def _private_paths(rules: Iterable[str]) -> re.Pattern[str] | None:
    """What matches the beginning of a path up to an argument with the name of a secret, such as
    `/reset_password/<token>`; None if no rule has one."""
    found = set()
    for rule in rules:
        for argument in _ARGUMENT.finditer(rule):
            if hides(argument[1]) == EVERYTHING:
                static = _ARGUMENT.split(rule[: argument.start()])[::2]
                found.add("[^/]+".join(re.escape(part).replace("/", "/+") for part in static))
                break
    return re.compile("|".join(sorted(found)), re.IGNORECASE) if found else None


_UNSAFE = re.compile(r"[^ !#-\[\]-~]")


def _escaped(text: str) -> str:
    r"""A text between quotation marks, as nginx writes it: `"`, `\`, controls and other bytes than
    those of ASCII as \xXX."""
    return _UNSAFE.sub(_hexadecimal, text)


def _hexadecimal(found: re.Match[str]) -> str:
    return "".join(map(r"\x{:02X}".format, found[0].encode("latin-1", "replace")))


def _combined(served: _Served, facts: dict[str, str], seconds: float) -> str:
    """The line in the combined format of nginx and Apache, with seconds and request id behind."""
    when = time.strftime("[%d/%b/%Y:%H:%M:%S +0000]", time.gmtime())
    client = _escaped(facts["client"]).replace(" ", "_") or "-"
    line = f"{facts['method']} {facts['target']} HTTP/{facts['version']}"
    referer, agent = _escaped(facts["referer"]) or "-", _escaped(facts["agent"]) or "-"
    return (
        f'{client} - - {when} "{_escaped(line)}" {served.status} {served.bytes} '
        f'"{referer}" "{agent}" {seconds:.3f} {request_id() or "-"}'
    )
