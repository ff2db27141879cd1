"""The extension: error pages and problem+json for a whole application."""

import logging
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any
from weakref import WeakSet

from quart import Quart
from werkzeug.exceptions import HTTPException, InternalServerError

from quartapp.errors import admission as admitting
from quartapp.errors import bounds as bounding
from quartapp.errors import deadlines as limiting
from quartapp.errors import feedback as listening
from quartapp.errors import headers as protecting
from quartapp.errors.escaped import EscapedErrors
from quartapp.errors.handlers import (
    handle_http,
    handle_internal,
    handle_registered,
    note_reference,
    register,
)
from quartapp.errors.plain import PlainPage
from quartapp.errors.refusal import last_resort
from quartapp.errors.settings import ErrorPagesSettings
from quartapp.errors.site import Answer, Rollback, Site
from quartapp.flasklike import App
from quartapp.installation import check_installable

_NAMED = "An HTTP error is registered by its status: register(404, detail=...)"

Text = object
"""A string, an object that is translated when it becomes one, or a function of the error."""
Pairs = Mapping[str, Any] | Iterable[tuple[str, Any]] | Callable[[Any], Any] | None


class ErrorPages:
    """Answers each error of an application: with a page, or with problem+json (RFC 9457).

    The page is the application's template `errors/404.html` (of any status), else its
    `errors/error.html`, else a plain one that needs nothing. Reads ERRORS_CONTACT and
    ERRORS_API_PATHS from `app.config`, and the REQUEST_... of the options that are used.

    `name` and `stylesheets` (paths below the root) are for the plain page. `rollback` ends the
    transaction of a request that failed, if its session is not that of `quartapp.database`; it may
    be asynchronous. The other options are off: `admission` refuses requests under overload,
    `deadlines` limits the time until an answer begins, `bounds` the size of what precedes a body,
    `headers` adds header fields to every answer (`True`: those of `headers.DEFAULTS`), and
    `feedback` has people say what they did on the page of an error that reporting records.
    """

    def __init__(
        self,
        app: Quart | None = None,
        *,
        name: str = "",
        stylesheets: Sequence[str] = (),
        rollback: Rollback | None = None,
        admission: bool = False,
        deadlines: bool = False,
        bounds: bool = False,
        feedback: bool = False,
        headers: bool | Mapping[str, str] = False,
    ) -> None:
        _check_options(headers, rollback)
        self._page = PlainPage(name, tuple(stylesheets))
        self._rollback = rollback
        self._parts = [
            part.wrap
            for part, is_used in (
                (limiting, deadlines),
                (admitting, admission),
                (listening, feedback),  # a text is taken under overload too
                (bounding, bounds),
            )
            if is_used
        ]
        self._headers = protecting.DEFAULTS if headers is True else headers or None
        self._registered: list[tuple[type[Exception] | int, Any]] = []
        self._apps: WeakSet[Quart] = WeakSet()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Quart) -> None:
        """Answer the errors of this application too.

        Raises ConfigurationError for wrong settings, and RuntimeError if the application has error
        pages already, or has begun to serve.
        """
        check_installable(app, ErrorPages, "errors")
        settings = ErrorPagesSettings.from_config(app.config)
        site = Site(app, self._page, settings, self._rollback)
        register(app, HTTPException, handle_http)
        register(app, InternalServerError, handle_internal)
        _handle_busy_database(app)

        @app.before_serving
        async def look_again() -> None:
            _handle_busy_database(app)

        app.extensions["errors"] = site
        # Not app.logger: at its first use Quart adds a handler, and every line would appear twice.
        logging.getLogger(app.name).addFilter(note_reference)
        self._apps.add(app)
        for what, answer in self._registered:
            _register(app, what, answer)
        if isinstance(app, App):
            app.last_resort = partial(last_resort, site)
        else:
            app.asgi_app = EscapedErrors(app, site)  # type: ignore[method-assign]
        for wrap in self._parts:
            wrap(app, site)
        if self._headers is not None:
            protecting.wrap(app, self._headers)

    def register(
        self,
        what: type[Exception] | int,
        *,
        status: int | None = None,
        code: Text = "",
        title: Text = "",
        detail: Text = "",
        headers: Pairs = None,
        extensions: Pairs = None,
        expected: bool = False,
    ) -> None:
        """Say how exceptions of a class are answered, or what is said with a status.

        `register(OutOfStock, status=409, code="out-of-stock", detail="We have no more of it.")`
        `register(404, title="Nothing here", detail="Try the search.")`

        Each of `code`, `title`, `detail`, `headers` and `extensions` (further members of the
        problem+json) may be a function of the exception. What is not given is the default of the
        status; the text of an exception is shown only where a function returns it. A 5xx is
        recorded, unless it is `expected`. Subclasses are answered alike. An `@app.errorhandler`
        for the same class takes precedence.
        """
        if isinstance(what, int):
            texts = {"code": code, "title": title, "detail": detail}
            if expected or {status, headers, extensions} != {None}:
                raise TypeError(f"register({what}): a status has only a code, a title, a detail")
            if not 400 <= what <= 599 or any(map(callable, texts.values())):
                raise TypeError(f"register({what}): expected a status from 400 to 599, and strings")
            # Whether a text that is translated late is empty can be asked only in a request.
            answer: Any = {
                name: text for name, text in texts.items() if type(text) is not str or text
            }
        else:
            _check_class(what)
            if issubclass(what, HTTPException):
                raise TypeError(f"register({what.__name__}): {_NAMED}")
            if not isinstance(status, int) or not 400 <= status <= 599:
                raise TypeError(f"register({what.__name__}): expected a status from 400 to 599")
            if not (_are_pairs(headers) and _are_pairs(extensions)):
                raise TypeError(f"register({what.__name__}): headers and extensions are mappings")
            answer = Answer(status, expected, code, title, detail, headers, extensions)
        self._registered.append((what, answer))
        for app in self._apps:
            _register(app, what, answer)


def _check_options(headers: object, rollback: object) -> None:
    if not isinstance(headers, bool | Mapping):
        raise TypeError("ErrorPages: headers is a mapping, or True")
    if rollback is not None and not callable(rollback):
        raise TypeError("ErrorPages: rollback is a function")


def _check_class(what: object) -> None:
    if not (isinstance(what, type) and issubclass(what, Exception)):
        raise TypeError(f"register({what!r}): expected a class of exceptions, or a status")


def _are_pairs(given: Any) -> bool:
    if given is None or callable(given):
        return True
    try:
        return all(isinstance(name, str) for name in dict(given))
    except (TypeError, ValueError):
        return False


def _register(app: Quart, what: type[Exception] | int, answer: Any) -> None:
    site: Site = app.extensions["errors"]
    if isinstance(what, int):
        site.texts[what] = answer
    else:
        register(app, what, handle_registered)
        site.answers[what] = answer


def _handle_busy_database(app: Quart) -> None:
    """Handle SQLAlchemy's errors in applications that have imported it, and load it in no other."""
    if "sqlalchemy.exc" in sys.modules:
        from quartapp.errors import database

        database.init_app(app)
