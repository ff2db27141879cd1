"""Requests for every route: values that are right, and values that nobody means well with."""

import random
import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

from quart import Quart

SCRIPT = "<script>alert(1)</script>"
PLANTED = "planted=1"
ELSEWHERE = "elsewhere.example"

NASTY = (
    "",
    " ",
    "0",
    "-1",
    "9" * 30,
    "1e309",
    "null",
    "a" * 300,
    "a" * 70_000,
    "a" + "\u0301" * 3_000,
    "\x00",
    "%FF",
    "\u202egnp",
    "\ufffd\U0001f40d",
    "../../../etc/passwd",
    "..\\..\\x",
    SCRIPT,
    f'"><img src=x onerror="{SCRIPT}">',
    "{{ 7 * 191 }}",
    "' OR 1=1 --",
    f"x\r\nSet-Cookie: {PLANTED}",
    f"//{ELSEWHERE}/",
    f"https://{ELSEWHERE}/",
    "/\\" + ELSEWHERE,
)

RIGHT = ("stranger1", "1", "2", "stranger1@example.com", "a good password", "Hello", "y")

NAMES = ("next", "before", "after", "page", "user_id", "limit", "cursor")


class Form(NamedTuple):
    """What a page's form has, as a browser would send it."""

    names: tuple[str, ...]
    token: str


class Sent(NamedTuple):
    """A request, with its body as form fields, JSON, or bytes; None has no body."""

    method: str
    path: str
    body: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path[:100]} {str(self.body)[:200]}"


def routes(app: Quart) -> Iterator[tuple[str, str]]:
    """Each route with each of its methods; not that of the static files."""
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        for method in sorted(rule.methods or ()):
            if rule.endpoint != "static" and method != "OPTIONS":
                yield rule.rule, method


def form_of(page: str) -> Form:
    """The names of the fields of a page's forms, and the token of the first."""
    names = re.findall(r'<(?:input|textarea)[^>]*\bname="([^"]+)"', page)
    token = re.search(r'name="csrf_token"[^>]*\bvalue="([^"]+)"', page)
    others = (name for name in dict.fromkeys(names) if name != "csrf_token")
    return Form(tuple(others), token[1] if token else "")


def make(rule: str, method: str, form: Form, generator: random.Random) -> Sent:
    """A request of a route; three of four form tokens are right."""
    path = re.sub(r"<[^>]+>", lambda _: quote(_value(generator)[:2_000], safe=""), rule)
    if generator.random() < 0.5:
        query = ((generator.choice(NAMES), _value(generator)[:3_000]) for _ in range(2))
        path += "?" + "&".join(f"{name}={quote(value)}" for name, value in query)
    if method in {"GET", "HEAD"}:
        return Sent(method, path, {})
    if rule.startswith("/api/"):
        kind = generator.choice(("json", "json", "data", "content"))
    else:
        kind = generator.choice(("data", "data", "data", "files", "json", "content"))
    fields = {name: _value(generator) for name in (*form.names, "body", "name", "scope")}
    if generator.random() < 0.75:
        fields["csrf_token"] = form.token
    if kind == "content":
        return Sent(method, path, {"content": generator.randbytes(200)})
    if kind == "files":
        return Sent(method, path, {"files": {name: (None, text) for name, text in fields.items()}})
    return Sent(method, path, {kind: fields})


def _value(generator: random.Random) -> str:
    return generator.choice(RIGHT if generator.random() < 0.6 else NASTY)
