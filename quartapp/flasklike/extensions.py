"""Extensions that were written for Flask, and code that still imports from `flask`.

Flask's `current_app`, `request`, `session` and `g` know nothing of the requests of `App`. Code that
reads them gets Flask's "Working outside of application context", with advice that does not help
here. `explain` adds the place and what to write to such an error.

quart-flask-patch gives those names to Quart, and runs plain functions in the event loop. What it
needs of `App`, because it has patched the same in Quart, is in `_upstream` and `dispatch`.
"""

from traceback import walk_tb
from typing import Any

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


def explain(error: BaseException | None) -> None:
    """Add a note to an error of Flask's own contexts: who read them, and what to use instead.

    Quart's errors have other texts, so that none of them gets the note.
    """
    if not isinstance(error, RuntimeError) or hasattr(error, "__notes__"):
        return
    if not str(error).startswith(_OUTSIDE):
        return
    frame, line = None, 0
    for each, number in walk_tb(error.__traceback__):
        if _package_of(each) not in _BELOW_THE_CALLER:
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
        else f"{package} was written for Flask: use {instead}"
    )
    error.add_note(
        f"{frame.f_code.co_filename}, line {line}, uses a name of `flask`, which knows nothing of"
        f" the requests of this application: {advice}."
    )


def _package_of(frame: Any) -> str:
    name: str = frame.f_globals.get("__name__", "")
    return name.partition(".")[0]
