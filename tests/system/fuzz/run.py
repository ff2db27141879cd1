"""One run: a person who is logged in sends requests to every route, and looks at the answers."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
from quart import Quart

from quartapp.microblog.app import create_app
from quartapp.microblog.config import Settings
from quartapp.testing import LiveServer
from tests.system.fuzz.requests import (
    ELSEWHERE,
    PLANTED,
    SCRIPT,
    Form,
    Sent,
    form_of,
    make,
    routes,
)

PASSWORD = "a good password"


@dataclass
class Outcome:
    """The answers by status, and what was wrong with which request."""

    answers: Counter[int] = field(default_factory=Counter)
    reached: set[tuple[str, str]] = field(default_factory=set)
    """Routes, with their methods, that accepted at least one request."""
    faults: list[str] = field(default_factory=list)


class Stranger:
    """A client with an account, which comes back when a request has ended its login."""

    def __init__(self, server: LiveServer, prefix: str = "stranger") -> None:
        self.client = httpx.Client(base_url=server.url, timeout=60, trust_env=False)
        self._prefix = prefix
        self._number = 0

    def close(self) -> None:
        self.client.close()

    def enter(self) -> None:
        """Register, log in and write a post."""
        self._number += 1
        name = f"{self._prefix}{self._number}"
        self.client.cookies.clear()
        fields = {"username": name, "password": PASSWORD}
        more = {"email": f"{name}@example.com", "password2": PASSWORD}
        self._send_form("/register", fields | more)
        self._send_form("/login", fields)
        self._send_form("/", {"post": "Hello"})

    def form(self, path: str) -> Form:
        """The form of a page, as somebody who is logged in."""
        for _ in range(2):
            page = self.client.get("/edit_profile")
            if page.status_code == 200:
                break
            self.enter()
        found = form_of(self.client.get(path).text) if "<" not in path else Form((), "")
        return found if found.token else form_of(page.text)

    def send(self, sent: Sent) -> httpx.Response:
        return self.client.request(sent.method, sent.path, **sent.body)

    def _send_form(self, path: str, fields: dict[str, str]) -> None:
        token = form_of(self.client.get(path).text).token
        answer = self.client.post(path, data=fields | {"csrf_token": token})
        assert answer.status_code == 302, (path, answer.status_code)


def application(folder: Path) -> Quart:
    """The microblog, for its routes."""
    return create_app(
        Settings(
            environment="testing",
            database_url=f"sqlite:///{folder / 'routes.db'}",
            instance_path=folder / "routes",
            log_dir=folder / "routes",
        )
    )


def run(app: Quart, server: LiveServer, each: int, seed: int) -> Outcome:
    """Send `each` requests to each route of `app`, which the server serves."""
    generator, outcome = random.Random(seed), Outcome()
    stranger = Stranger(server)
    stranger.enter()
    try:
        for rule, method in routes(app):
            form = stranger.form(rule)
            for _ in range(each):
                if method not in {"GET", "HEAD"}:
                    form = stranger.form(rule)
                sent = make(rule, method, form, generator)
                answer = stranger.send(sent)
                outcome.answers[answer.status_code] += 1
                if answer.status_code < 400:
                    outcome.reached.add((rule, method))
                outcome.faults += [f"{fault}: {sent}" for fault in faults(answer)]
    finally:
        stranger.close()
    for line in server.lines:
        if " ERROR " in line or "Traceback" in line:
            outcome.faults.append(line.strip()[:300])
    return outcome


def faults(answer: httpx.Response) -> Iterator[str]:
    """What no answer may be or have."""
    if answer.status_code >= 500:
        yield f"answered {answer.status_code}"
    if PLANTED in answer.headers.get("set-cookie", ""):
        yield "a header was planted"
    place = urlsplit(urljoin(str(answer.url), answer.headers.get("location", "")))
    if ELSEWHERE in place.netloc:
        yield f"redirected to {place.netloc}"
    if answer.headers.get("x-content-type-options") != "nosniff":
        yield "without the protecting headers"
    kind = answer.headers.get("content-type", "")
    if kind.startswith("text/html") and SCRIPT in answer.text:
        yield "a script was planted"
    if kind.startswith("text/html") and "1337" in answer.text:
        yield "a template was planted"
    if "Traceback (most recent call last)" in answer.text:
        yield "a traceback was shown"
