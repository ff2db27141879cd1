"""The HTTP responses of the debugger."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""

Send = Callable[[dict[str, Any]], Awaitable[None]]

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every response: a prompt runs code, so no other page may embed, read or command it."""


def answer(status: int, body: bytes, content_type: str) -> Answer:
    return status, {**HEADERS, "Content-Type": content_type}, body


def html_answer(text: str) -> Answer:
    """A page that may show documents of this server in frames."""
    policy = f"{HEADERS['Content-Security-Policy']}; frame-src 'self'"
    policy = policy.replace("form-action 'none'", "form-action 'self'")
    status, headers, body = answer(200, text.encode(), "text/html; charset=utf-8")
    return status, {**headers, "Content-Security-Policy": policy}, body


def json_answer(data: object, status: int = 200) -> Answer:
    return answer(status, json.dumps(data).encode(), "application/json")


def refusal(status: int, reason: str) -> Answer:
    """An error that the page's script shows: `reason` is a sentence."""
    return json_answer({"error": reason}, status)


async def send_answer(send: Send, answer: Answer, *, head: bool = False) -> None:
    """Send a whole response; to a HEAD request without its body."""
    status, headers, body = answer
    headers = {**headers, "Content-Length": str(len(body))}
    raw = [(name.lower().encode(), value.encode("latin1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": b"" if head else body})
