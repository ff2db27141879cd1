"""An application and the requests sent to it, as plain values.

Every value is frozen and prints as the Python that makes it, so that a failing specification can be
pasted into a test. Functions are lists of steps; what a step does is said in steps.py.
"""

from dataclasses import dataclass, fields
from typing import Any

AFTER_THE_REQUEST = ("after_request", "teardown_request", "teardown_appcontext")


class Terse:
    """A value whose repr has only the fields that differ from their defaults."""

    def __repr__(self) -> str:
        shown = []
        for field in fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            value = getattr(self, field.name)
            if value != field.default:
                shown.append(f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True, repr=False)
class Step(Terse):
    """One action of a function: `do` names the verb, `what` its object."""

    do: str = ""
    what: str = ""


@dataclass(frozen=True, repr=False)
class Function(Terse):
    """Steps in order. Without a `return` or `raise` the function ends as is usual for its kind.

    On Flask every function is synchronous; `sync` says whether it is on flasklike too.
    """

    steps: tuple[Step, ...] = ()
    sync: bool = False


@dataclass(frozen=True, repr=False)
class Handler(Terse):
    """An error handler; `key` is a code or the name of a class of vocabulary.py."""

    key: str = "Exception"
    function: Function = Function()
    everywhere: bool = False
    decorated: bool = True


@dataclass(frozen=True, repr=False)
class Hook(Terse):
    """A function registered under one of the names in vocabulary.HOOKS."""

    on: str = "before_request"
    function: Function = Function()
    everywhere: bool = False


@dataclass(frozen=True, repr=False)
class Route(Terse):
    path: str = "/"
    methods: tuple[str, ...] = ("GET",)
    function: Function = Function()
    style: str = "function"
    automatic_options: bool | None = None


@dataclass(frozen=True, repr=False)
class Scope(Terse):
    """The application, or a blueprint inside it (`parent` 0) or inside the blueprint `parent`."""

    name: str = "app"
    parent: int = 0
    prefix: str | None = None
    handlers: tuple[Handler, ...] = ()
    hooks: tuple[Hook, ...] = ()
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True, repr=False)
class Receiver(Terse):
    signal: str = "request_started"
    function: Function = Function()


@dataclass(frozen=True, repr=False)
class Request(Terse):
    """`afterwards` is read after the response, if the client preserves the context."""

    path: str = "/"
    method: str = "GET"
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    afterwards: str = ""


@dataclass(frozen=True, repr=False)
class Spec(Terse):
    """`config` holds (name, value); `session` and `overrides` name variants of vocabulary.py."""

    config: tuple[tuple[str, Any], ...] = ()
    scopes: tuple[Scope, ...] = (Scope(),)
    receivers: tuple[Receiver, ...] = ()
    requests: tuple[Request, ...] = (Request(),)
    session: str = ""
    overrides: tuple[str, ...] = ()
    late: str = ""
    preserve: bool = False
