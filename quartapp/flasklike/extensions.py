"""Extensions that were written for Flask, and code that still imports from `flask`.

Such code reads Flask's own `current_app`, `g`, `request` and `session`. In a synchronous function
they are those of `App` (`in_flask_contexts`): there `request.form` is a form, as Flask's. In
asynchronous code it would be a coroutine, so there they are not set, and what reads them gets
Flask's "Working outside of application context", with advice that does not help here. `explain`
adds the place and what to write to such an error.

quart-flask-patch gives those names to Quart, and runs plain functions in the event loop. What it
needs of `App`, because it has patched the same in Quart, is in `_upstream` and `dispatch`.
"""

from collections.abc import Callable
from contextvars import Token
from traceback import walk_tb
from typing import Any, ParamSpec, TypeVar

from quartapp.flasklike._upstream import cv_app, cv_request, flask_cv_app, flask_cv_request

P = ParamSpec("P")
T = TypeVar("T")

_OUTSIDE = ("Working outside of application context", "Working outside of request context")

_BELOW_THE_CALLER = {"flask", "jinja2", "markupsafe", "werkzeug"}

_INSTEAD = {
    "flask_babel": "quart-babel",
    "flask_caching": "a cache of your own, such as one of cachetools",
    "flask_cors": "quart-cors",
    "flask_httpauth": "request.authorization in a before_request function, or quart-auth",
    "flask_limiter": "quart-rate-limiter",
    "flask_login": "quart-auth",
    "flask_mail": "aiosmtplib",
    "flask_migrate": "Alembic",
    "flask_moment": "moment.js in the template",
    "flask_sqlalchemy": "SQLAlchemy with its AsyncSession",
    "flask_wtf": "quart-wtforms, or WTForms with `await request.form`",
}
"""What to use instead of the extensions of Flask that were tried; see docs/extensions.md."""


FlaskTokens = tuple[Token[Any] | None, Token[Any] | None]


def enter_flask_contexts() -> FlaskTokens:
    """Make the current contexts of `App` those of Flask, for synchronous code that runs now.

    Our contexts have what Flask's names read of Flask's.
    """
    app_context = cv_app.get(None)
    request_context = cv_request.get(None)
    return (
        None if app_context is None else flask_cv_app.set(app_context),
        None if request_context is None else flask_cv_request.set(request_context),
    )


def leave_flask_contexts(tokens: FlaskTokens) -> None:
    """Undo `enter_flask_contexts`."""
    app_token, request_token = tokens
    if request_token is not None:
        flask_cv_request.reset(request_token)
    if app_token is not None:
        flask_cv_app.reset(app_token)


def in_flask_contexts(func: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call *func* between `enter_flask_contexts` and `leave_flask_contexts`."""
    tokens = enter_flask_contexts()
    try:
        return func(*args, **kwargs)
    finally:
        leave_flask_contexts(tokens)


class FlaskContextError(TypeError):
    """Asynchronous code has used a name of `flask` that only plain functions can use.

    It is no RuntimeError, because the proxies of Werkzeug are false where that is raised.
    """


class _Refused:
    """Flask's contexts where there are none, for code that would go on without one.

    `current_app` and `request` are false, as outside of contexts: that is asked by those who have
    something else then, such as Flask's log handler.
    """

    def __bool__(self) -> bool:
        return False

    def __getattr__(self, name: str) -> "_Refused":
        if name in {"app", "request"}:
            return self
        raise FlaskContextError(f"{_OUTSIDE[1]}.")


_refused: Any = _Refused()


def refuse_flask_contexts(app: Any) -> None:
    """Make Flask's names fail in this task's asynchronous code, if *app* uses Flask-Login.

    Otherwise `if current_user:` would be false there for everybody.
    """
    if getattr(app, "login_manager", None) is not None:
        flask_cv_app.set(_refused)
        flask_cv_request.set(_refused)


def explain(error: BaseException | None) -> None:
    """Add a note to an error of Flask's own contexts: who read them, and what to use instead.

    Quart's errors have other texts, so that none of them gets the note.
    """
    if not isinstance(error, RuntimeError | FlaskContextError) or hasattr(error, "__notes__"):
        return
    if not str(error).startswith(_OUTSIDE):
        return
    frame, line = None, 0
    for each, number in walk_tb(error.__traceback__):
        if _package_of(each) not in _BELOW_THE_CALLER and each.f_globals is not globals():
            frame, line = each, number
    if frame is None:
        return
    package = _package_of(frame)
    instead = _INSTEAD.get(package)
    if instead is None and package.startswith("flask_"):
        instead = "an extension for Quart"
    advice = (
        "import it from quartapp.flasklike"
        if instead is None
        else f"call {package} in a plain `def` function, or use {instead}"
    )
    error.add_note(
        f"{frame.f_code.co_filename}, line {line}, uses a name of `flask`, which knows this"
        f" application only in a request's synchronous functions: {advice}."
    )


def _package_of(frame: Any) -> str:
    name: str = frame.f_globals.get("__name__", "")
    return name.partition(".")[0]
