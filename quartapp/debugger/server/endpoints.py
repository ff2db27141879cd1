"""The requests below the debugger's own path."""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

from quartapp.debugger.page.rendering import FOLDER, PREFIX
from quartapp.debugger.page.store import Failure
from quartapp.debugger.server.access import Caller
from quartapp.debugger.server.answers import (
    Answer,
    Send,
    answer,
    json_answer,
    refusal,
    send_answer,
)
from quartapp.debugger.server.debugger import Debugger

_logger = logging.getLogger(__name__)

Receive = Callable[[], Awaitable[Mapping[str, Any]]]

MAX_BODY = 256 * 1024

_FILES = {
    "debugger.css": "text/css; charset=utf-8",
    "debugger.js": "text/javascript; charset=utf-8",
    "websocket.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


class Endpoints:
    """The debugger's own requests: its files, the pages of kept failures, and commands."""

    def __init__(self, debugger: Debugger) -> None:
        self._debugger = debugger
        self._access = debugger.access

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        found = await self._answer(scope, Caller.from_scope(scope), receive)
        await send_answer(send, found, head=scope["method"] == "HEAD")

    async def _answer(self, scope: Mapping[str, Any], caller: Caller, receive: Receive) -> Answer:
        path = scope["path"].removeprefix(PREFIX)
        if not self._access.trusts_host(caller):
            return refusal(400, "the debugger does not trust this host name")
        if scope["method"] in {"GET", "HEAD"}:
            return self._get(path, caller)
        if scope["method"] != "POST":
            return refusal(405, "the debugger accepts GET and POST")
        return self._check(caller) or await self._post(path, caller, receive)

    def _get(self, path: str, caller: Caller) -> Answer:
        match path.split("/")[1:]:
            case ["static", name] if name in _FILES:
                return answer(200, (FOLDER / "static" / name).read_bytes(), _FILES[name])
            case ["failures", failure_id]:
                failure = self._debugger.store.find(failure_id)
                return self._debugger.render(failure, caller) if failure else _gone()
        return refusal(404, "there is no such page of the debugger")

    def _check(self, caller: Caller) -> Answer | None:
        if not self._access.evalex:
            return refusal(403, "the prompt was switched off")
        if not caller.is_local:
            return refusal(403, "commands are accepted only from the server's own machine")
        if not caller.is_same_origin:
            return refusal(403, "commands are accepted only from the debugger's own page")
        if caller.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return refusal(415, "a command must be JSON")
        # A wrong secret is most likely that of an earlier process, from before a restart.
        return None if self._access.knows_secret(caller) else _gone()

    async def _post(self, path: str, caller: Caller, receive: Receive) -> Answer:
        try:
            command = json.loads(await _body(receive))
        except OverflowError:
            return refusal(413, "the command is too long")
        except ValueError:
            command = None
        if not isinstance(command, dict):
            return refusal(400, "a command must be a JSON object")
        if path == "/unlock":
            return await self._unlock(str(command.get("pin", "")))
        if not self._access.is_unlocked(caller):
            return refusal(401, "the prompt is locked")
        match path.split("/")[1:]:
            case ["failures", failure_id, action]:
                failure = self._debugger.store.use(failure_id)
                return await self._try(failure, action, command) if failure else _gone()
        return refusal(404, "there is no such command")

    async def _unlock(self, pin: str) -> Answer:
        cookie = await self._access.unlock(pin)
        if cookie is not None:
            status, headers, body = json_answer({"unlocked": True})
            return status, {**headers, "Set-Cookie": cookie}, body
        if self._access.is_exhausted:
            return refusal(403, "Too many wrong PINs: restart the server.")
        return refusal(403, "That is not the PIN.")

    async def _try(self, failure: Failure, action: str, command: dict[str, Any]) -> Answer:
        try:
            return await self._act(failure, action, command)
        except Exception as error:
            _logger.exception("The debugger failed to answer a command.")
            return refusal(500, f"The debugger failed: {type(error).__name__}: {error}")

    async def _act(self, failure: Failure, action: str, command: dict[str, Any]) -> Answer:
        frame, code, name = command.get("frame"), command.get("code"), command.get("reveal")
        if not isinstance(frame, int):
            return refusal(400, "a command must name its frame")
        if action == "run" and isinstance(code, str):
            reply = await self._debugger.run(failure, frame, code, now=command.get("now") is True)
            return json_answer(asdict(reply)) if reply else refusal(404, "there is no such frame")
        found = self._debugger.variables(failure, frame)
        if action != "variables" or found is None:
            return refusal(404, "there is no such frame or command")
        return json_answer({"text": found.reveal(name)} if name else {"rows": found.rows()})


def _gone() -> Answer:
    return refusal(410, "This failure is gone: the server restarted, or newer ones replaced it.")


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if len(body) > MAX_BODY:
            raise OverflowError
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return body
