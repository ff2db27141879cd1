"""A specification from a seed.

Choices are weighted towards errors, and towards a few paths, errors and keys, so that handlers
match errors, hooks run around them and requests find views.
"""

import random
from collections.abc import Sequence
from typing import TypeVar

from tests.system.parity import templates
from tests.system.parity import vocabulary as words
from tests.system.parity.answering import AWAITED_RETURNS, RETURNS, STREAMS
from tests.system.parity.reading import AWAITED_READS, READS
from tests.system.parity.specification import (
    Function,
    Handler,
    Hook,
    Receiver,
    Request,
    Route,
    Scope,
    Spec,
    Step,
)
from tests.system.parity.steps import CHANGES, RENDERS, WRITES

T = TypeVar("T")
PATHS = ("/", "/thing", "/thing/", "/int/<int:n>", "/brittle/<brittle:value>", "/any/<path:p>")
PREFIXES = (None, "/a", "/b", "/thing", "/<area>")
VALUES = ("ok", "domain", "value", "invalid", "http", "7", "caf%C3%A9")
COMMON_ERRORS = ("Domain", "DomainChild", "NotFound", "abort 404", "abort 500", "KeyError")
COMMON_KEYS = ("Domain", "Exception", "HTTPException", "NotFound", "404", "500", "405", "400")
ODD_CONVERSIONS = ("url_value_preprocessor", "url_defaults")

# place -> chances of ending with (raise, return, render)
ENDS = {
    "view": (0.5, 0.25, 0.08),
    "handler": (0.15, 0.4, 0.08),
    "before_request": (0.15, 0.1, 0.02),
    "after_request": (0.1, 0.05, 0.0),
    "teardown_request": (0.1, 0.0, 0.0),
    "teardown_appcontext": (0.1, 0.0, 0.0),
    "context_processor": (0.1, 0.0, 0.0),
    "url_value_preprocessor": (0.08, 0.0, 0.0),
    "url_defaults": (0.08, 0.0, 0.0),
}
RECEIVER_ENDS = (0.08, 0.0, 0.0)
# Some specifications have a theme, so that rare features are combined.
THEMES = ("body", "body", "session", "template", "signals", "return")
LIMITS = ("MAX_CONTENT_LENGTH", "MAX_CONTENT_LENGTH", "MAX_FORM_MEMORY_SIZE", "MAX_FORM_PARTS")
SESSION_WRITES = ("session", "session", "session permanent", "session clear", "flash", "g")
# Without a request, accessing it is an error whose text differs between the frameworks.
OUTSIDE = ("teardown_appcontext", "appcontext_pushed", "appcontext_tearing_down")
OUTSIDE_READS = ("app name", "exc_info")
OUTSIDE_WRITES = ("log", "log exception", "g")


class Generator:
    """Every choice comes from one random generator: a seed stands for one specification."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        # Templates have another, so that a seed means the same as before them.
        self.sources = random.Random(f"templates of {seed}")
        self.preserve = self.chance(0.07)
        # Flask cuts a body without Content-Length that is too long, and does not refuse it: see
        # test_differences.py.
        self.chunked = self.chance(0.3)
        self.theme = self.pick(THEMES) if self.chance(0.4) else ""

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def pick(self, options: Sequence[T]) -> T:
        return self.random.choice(options)

    def spec(self) -> Spec:
        scopes = [self.scope(number) for number in range(self.pick((1, 1, 2, 2, 3, 4)))]
        session = self.session()
        return Spec(
            config=self.config(),
            scopes=tuple(scopes),
            receivers=self.receivers(),
            requests=tuple(self.request(scopes) for _ in range(self.pick((1, 1, 2, 3)))),
            session=session,
            overrides=(self.pick(words.OVERRIDES),) if self.chance(0.15) else (),
            late=self.pick(words.LATE) if self.chance(0.05) else "",
            preserve=self.preserve,
        )

    def session(self) -> str:
        if self.theme == "session":
            return "secret"
        if self.preserve or self.chance(0.75):  # entering a kept context opens the session again
            return ""
        return self.pick(words.SESSIONS)

    def config(self) -> tuple[tuple[str, object], ...]:
        flags = [flag for flag in words.FLAGS if self.chance(0.07)]
        if self.theme == "body" and self.chance(0.5):
            flags = list({*flags, self.pick(LIMITS)})
            flags.sort()
        chosen = {flag: self.pick(words.FLAGS[flag]) for flag in flags}
        if self.theme == "body" and chosen.get("MAX_CONTENT_LENGTH"):
            chosen["MAX_CONTENT_LENGTH"] = min(words.FLAGS["MAX_CONTENT_LENGTH"])
        if self.chunked:
            chosen.pop("MAX_CONTENT_LENGTH", None)
        return tuple(chosen.items())

    def scope(self, number: int) -> Scope:
        return Scope(
            name=f"bp{number}" if number else "app",
            parent=self.random.randrange(number) if number else 0,
            prefix=self.pick(PREFIXES) if number else None,
            handlers=tuple(self.handler() for _ in range(self.pick((0, 0, 1, 2, 3)))),
            hooks=tuple(self.hook(number) for _ in range(self.pick((0, 0, 1, 2, 3)))),
            routes=tuple(self.route(number, n) for n in range(self.pick((1, 2)))),
        )

    def handler(self) -> Handler:
        keys = words.BAD_KEYS if self.chance(0.03) else words.KEYS
        return Handler(
            key=self.pick(COMMON_KEYS) if self.chance(0.6) else self.pick(keys),
            function=self.function("handler"),
            everywhere=self.chance(0.15),
            decorated=self.chance(0.7),
        )

    def hook(self, number: int) -> Hook:
        on = self.pick(words.HOOKS)
        return Hook(on, self.function(on), everywhere=number > 0 and self.chance(0.2))

    def route(self, scope: int, number: int) -> Route:
        methods: tuple[str, ...] = ("GET",)
        if self.theme == "body":
            methods = ("POST",)
        elif self.chance(0.4):
            methods = self.pick((("POST",), ("GET", "POST"), ("PUT", "DELETE"), ("OPTIONS",)))
        return Route(
            path="/" if scope == number == 0 else self.pick(PATHS),
            methods=methods,
            function=self.function("view"),
            style="function" if self.chance(0.85) else self.pick(STYLES),
            automatic_options=self.pick((True, False)) if self.chance(0.05) else None,
        )

    def receivers(self) -> tuple[Receiver, ...]:
        if self.theme == "signals" or self.chance(0.15):
            return tuple(Receiver(signal) for signal in words.SIGNALS)  # their order matters
        signals = [signal for signal in words.SIGNALS if self.chance(0.1)]
        return tuple(Receiver(signal, self.receiver(signal)) for signal in signals)

    def receiver(self, signal: str) -> Function:
        if signal == "appcontext_pushed":  # on Flask its error is lost: see test_differences
            return Function((Step("read", "app name"),))
        if signal == "appcontext_popped":  # no context is left, not even the application's
            return Function((Step("raise", "Domain"),)) if self.chance(0.1) else Function()
        return self.function(signal)

    def function(self, place: str) -> Function:
        called = place in ODD_CONVERSIONS  # by the framework itself, in the event loop
        sync = not called and self.chance(0.25)
        steps: list[Step] = []
        if self.theme == "body" and place == "view":
            steps.append(Step("read", self.pick(self.awaited_reads())))
        while len(steps) < 3 and self.chance(0.55 if self.theme else 0.3):
            steps.append(self.effect(place, called))
        end = self.end(place, called)
        return Function((*steps, end) if end else tuple(steps), sync)

    def effect(self, place: str, called: bool) -> Step:
        if place == "after_request" and self.chance(0.6):
            return Step("change", self.pick(CHANGES))
        if self.chance(0.65):
            return Step("read", self.pick(self.reads(place, called)))
        return Step("write", self.pick(self.writes(place, called)))

    def reads(self, place: str, called: bool) -> Sequence[str]:
        if place in OUTSIDE:
            return OUTSIDE_READS
        if self.theme == "body" and not called:
            return self.awaited_reads()
        plain = [name for name in READS if place != "url_defaults" or "url_for" not in name]
        return plain if called else [*plain, *self.awaited_reads()]

    def awaited_reads(self) -> Sequence[str]:
        return [name for name in AWAITED_READS if name != "limited" or not self.chunked]

    def writes(self, place: str, called: bool) -> Sequence[str]:
        if place in OUTSIDE:
            return OUTSIDE_WRITES
        if place == "message_flashed":
            called = True  # flashing there would be an endless loop
        if self.theme == "session" and not called:
            return SESSION_WRITES
        return tuple(WRITES) if called else (*WRITES, "flash")

    def end(self, place: str, called: bool) -> Step | None:
        raises, returns, renders = ENDS.get(place, RECEIVER_ENDS)
        if self.theme == "template" and place in ("view", "handler"):
            renders += 0.4
        if self.theme == "return" and place in ("view", "handler"):
            returns += 0.4
        number = self.random.random()
        if number < raises:
            return Step("raise", self.error(place))
        if number < raises + returns:
            return Step("return", self.value(place, called))
        if number < raises + returns + renders and not called:
            template = self.pick(RENDERS)
            if self.sources.random() < 0.5:
                return Step("template", templates.source(self.sources))
            return Step("render", template)
        return None

    def error(self, place: str) -> str:
        if place in ("handler", "teardown_request", "teardown_appcontext") and self.chance(0.4):
            return self.pick(("again", "argument", "chained"))
        return self.pick(COMMON_ERRORS) if self.chance(0.5) else self.pick(words.RAISES)

    def value(self, place: str, called: bool) -> str:
        if place == "handler" and self.chance(0.25):
            return "argument"
        if place in ("view", "handler") and self.chance(0.12):
            return "stream" if self.preserve else self.pick(tuple(STREAMS))
        if place == "after_request":
            return "response"
        if not called and self.chance(0.2):
            return self.pick(tuple(AWAITED_RETURNS))
        return self.pick(tuple(RETURNS))

    def request(self, scopes: Sequence[Scope]) -> Request:
        number = self.random.randrange(len(scopes))
        route = self.pick(scopes[number].routes)
        path = self.path(scopes, number, route.path)
        method = self.pick(words.METHODS) if self.chance(0.15) else self.pick(route.methods)
        body = ""
        if method not in ("HEAD", "OPTIONS") and self.chance(0.8 if method != "GET" else 0.1):
            body = self.pick([name for name in words.BODIES if self.chunked or is_announced(name)])
        headers = (self.pick(HEADERS),) if self.chance(0.1) else ()
        afterwards = self.preserve and self.chance(0.8)
        read = self.pick(self.awaited_reads()) if afterwards else ""
        return Request(path, method, body, headers, read)

    def path(self, scopes: Sequence[Scope], number: int, path: str) -> str:
        while number:
            prefix = scopes[number].prefix or ""
            path = f"{prefix}{path}"
            number = scopes[number].parent
        path = path.replace("<int:n>", self.pick(("7", "x")) if self.chance(0.3) else "7")
        path = path.replace("<brittle:value>", self.pick(VALUES))
        path = path.replace("<path:p>", "deep/er").replace("<area>", "area")
        if self.chance(0.1):
            path = self.pick((path.rstrip("/") or "/nowhere", f"{path}/", f"{path}nowhere"))
            path = (
                "/nowhere" if path.startswith("//") else path
            )  # clients would interpret it as a host
        if self.chance(0.1):
            path += self.pick(("?n=1", "?n=x&n=2", "?q=%ff", "?"))
        return path


STYLES = ("method_view", "view", "view_static")
HEADERS = (
    ("Host", "evil.test"),
    ("Host", "parity.test"),
    ("Host", "bad host/"),
    ("Cookie", "session=broken"),
    ("Cookie", "a=b; missing"),
    ("X-Missing", "here"),
    ("Accept", "application/json"),
    ("If-None-Match", '"x"'),
)


def is_announced(body: str) -> bool:
    _, _, announced = words.BODIES[body]
    return announced


def generate(seed: int) -> Spec:
    """The specification of a seed, which does not depend on what was generated before."""
    return Generator(seed).spec()
