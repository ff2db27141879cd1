"""Generated groups, raised in a request of a generated application, and what happened to them."""

import asyncio
import logging
import random
import sys
from dataclasses import dataclass
from typing import Any

from werkzeug.exceptions import (
    BadGateway,
    BadRequestKeyError,
    Forbidden,
    HTTPException,
    NotFound,
    ServiceUnavailable,
)
from werkzeug.routing import RequestRedirect
from werkzeug.wrappers import Response

from quartapp.flasklike import App, Blueprint
from quartapp.flasklike.concurrency.cancellation import StrayCancelledError
from tests.flasklike.groups.reference import Reference, flat


class Stock(Exception):
    pass


class LateStock(Stock):
    pass


class FormErrors(ExceptionGroup[Exception]):
    """A group of the application, without `derive`."""


class StockErrors(ExceptionGroup[Exception], Stock):
    """A group that is an error of the application too."""


class Vanished(ExceptionGroup[Exception], NotFound):
    """A group that is an HTTP error."""

    def __init__(self, _message: str, _errors: Any) -> None:
        NotFound.__init__(self)


LEAVES: list[Any] = [
    NotFound,
    Forbidden,
    ServiceUnavailable,
    BadGateway,
    BadRequestKeyError,
    lambda: RequestRedirect("/elsewhere"),
    lambda: HTTPException(response=Response(status=503)),
    lambda: ServiceUnavailable(response=Response(status=409)),
    Stock,
    LateStock,
    KeyError,
    ValueError,
]
ENDINGS = [asyncio.CancelledError, KeyboardInterrupt, SystemExit]
KEYS: list[type[Exception]] = [
    NotFound,
    Forbidden,
    ServiceUnavailable,
    HTTPException,
    Stock,
    LateStock,
    LookupError,
    KeyError,
    Exception,
    ExceptionGroup,
    FormErrors,
    Vanished,
]
GROUPS: list[Any] = [
    ExceptionGroup,
    ExceptionGroup,
    ExceptionGroup,
    FormErrors,
    StockErrors,
    Vanished,
]


@dataclass(frozen=True)
class Tree:
    """A group, and the application in whose request it is raised."""

    group: BaseExceptionGroup[Any]
    handlers: list[tuple[str, type[Exception]]]
    in_blueprint: bool
    config: dict[str, Any]

    @property
    def scopes(self) -> list[str]:
        return ["blueprint", "app"] if self.in_blueprint else ["app"]


def tree(seed: int) -> Tree:
    """The tree of a seed."""
    choice = random.Random(seed)
    leaves = choice.sample(LEAVES, choice.randint(1, 4))
    endings = ENDINGS[:1] * 9 + ENDINGS if choice.random() < 0.25 else []
    made: list[BaseException] = []

    def grow(depth: int) -> BaseException:
        if made and choice.random() < 0.1:
            return choice.choice(made)
        if depth == 0 or choice.random() < 0.55:
            kinds = endings if endings and choice.random() < 0.4 else leaves
            error: BaseException = choice.choice(kinds)()
        else:
            error = branch(depth)
        made.append(error)
        return error

    def branch(depth: int) -> BaseExceptionGroup[Any]:
        members = [grow(depth - 1) for _ in range(choice.randint(1, 3))]
        if all(isinstance(member, Exception) for member in members):
            made_of: BaseExceptionGroup[Any] = choice.choice(GROUPS)("", members)
            return made_of
        return BaseExceptionGroup("", members)

    density = choice.random() * 0.4
    in_blueprint = choice.random() < 0.4
    scopes = ["blueprint", "app"] if in_blueprint else ["app"]
    config = {"TRAP_HTTP_EXCEPTIONS": True} if choice.random() < 0.05 else {}
    if choice.random() < 0.05:
        config["TRAP_BAD_REQUEST_ERRORS"] = True
    return Tree(
        branch(choice.randint(1, 4)),
        [(scope, key) for scope in scopes for key in KEYS if choice.random() < density],
        in_blueprint,
        {"PROPAGATE_EXCEPTIONS": False, **config},
    )


class LoggedErrors(logging.Handler):
    """Keeps the errors that are logged."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.errors.append(record.exc_info and record.exc_info[1])


class Trial:
    """One tree raised in one application.

    `answered` is the error that a handler got, or Werkzeug's page of an HTTP error; `unhandled` the
    error that was signalled; `raised` what reached the client.
    """

    def __init__(self, tree: Tree, app_class: type[App] = App) -> None:
        self.tree = tree
        self.answered: Any = None
        self.unhandled: list[Any] = []
        self.raised: BaseException | None = None
        self.torn_down: list[Any] = []
        self.wrong: list[str] = []
        self.log = LoggedErrors()
        app = self.app = self._recording(app_class)("groups")
        app.config.update(tree.config)
        app.logger.handlers, app.logger.propagate = [self.log], False
        blueprint = Blueprint("blueprint", __name__)
        targets: dict[str, Any] = {"app": app, "blueprint": blueprint}
        for scope, key in tree.handlers:
            targets[scope].register_error_handler(key, self._handle)
        targets[tree.scopes[0]].add_url_rule("/", "index", self._view)
        app.register_blueprint(blueprint)
        app.teardown_request(self._tear_down)

    def _recording(self, app_class: type[App]) -> type[App]:
        trial = self

        class Recording(app_class):  # type: ignore[misc, valid-type]  # any application
            async def handle_http_exception(self, error: HTTPException) -> Any:
                trial.note(error)
                return await super().handle_http_exception(error)

            async def handle_exception(self, error: Exception) -> Any:
                trial.unhandled.append(error)
                return await super().handle_exception(error)

        return Recording

    async def run(self) -> "Trial":
        """Send the request."""
        try:
            await self.app.test_client().get("/")
        except BaseException as raised:  # noqa: BLE001  # an exit reaches the test client
            self.raised = raised
        if hasattr(self.answered, "__group__"):
            self.wrong.append("__group__ is kept")
        return self

    async def _view(self) -> str:
        raise self.tree.group

    async def _handle(self, error: Exception) -> str:
        self.note(error)
        return "handled"

    def note(self, error: Exception) -> None:
        """Note the error that is answered, as its handler sees it."""
        if self.unhandled:
            return  # the InternalServerError after it
        self.answered = error
        if isinstance(error, StrayCancelledError) or is_whole(error, self.tree.group):
            return  # it is no leaf
        if not is_whole(getattr(error, "__group__", None), self.tree.group):
            self.wrong.append("__group__ is missing")
        if sys.exc_info()[1] is not error:
            self.wrong.append("another exception is active")

    async def _tear_down(self, error: BaseException | None) -> None:
        self.torn_down.append(error)

    def difference(self) -> str:
        """Where what happened differs from what the reference says; empty if nowhere."""
        app, tree = self.app, self.tree
        reference = Reference(set(tree.handlers), tree.scopes, app.trap_http_exception)
        word, expected = reference.outcome(tree.group)
        if word == "leaf":
            answered, *logged = expected
            same = self.answered is answered
            if type(answered) is BaseExceptionGroup:  # it is another without CancelledErrors
                same = is_whole(self.answered, answered)
            holds = same and self.log.errors == logged and not self.unhandled
        elif word == "caught":
            holds = is_whole(self.answered, tree.group) and not self.log.errors
        elif word == "unhandled":
            holds = is_whole(self._only_unhandled(), tree.group) and self.answered is None
        elif word == "cancelled":
            holds = isinstance(self.answered or self._only_unhandled(), StrayCancelledError)
        else:
            holds = self.raised is tree.group and self.torn_down == [self.raised]
        if holds and not self.wrong:
            return ""
        return (
            f"{word} {expected!r} expected; answered {self.answered!r}, unhandled"
            f" {self.unhandled!r}, logged {self.log.errors!r}, raised {self.raised!r}, {self.wrong}"
        )

    def _only_unhandled(self) -> Any:
        """The error that was signalled, logged and torn down with, if it was one."""
        [*errors] = {id(each): each for each in (*self.unhandled, *self.torn_down)}.values()
        return errors[0] if errors == self.log.errors else None


def is_whole(error: Any, group: BaseExceptionGroup[Any]) -> bool:
    """Whether *error* is *group*, or what is left of it without CancelledErrors."""
    if not isinstance(error, BaseExceptionGroup):
        return False
    return flat(error) == [
        each for each in flat(group) if not isinstance(each, asyncio.CancelledError)
    ]
