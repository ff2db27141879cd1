"""A pytest plugin under which `import flask` gives flasklike.

Flask's tests are synchronous, and so is flasklike where no event loop runs; so little is left for
this module: the names, and what tests call that is a coroutine here.
"""

import importlib
import sys

from _pytest import monkeypatch

from quartapp import flasklike
from quartapp.flasklike import App
from quartapp.flasklike._upstream import cv_request

MODULES = (
    *("app", "blueprints", "cli", "config", "ctx", "globals", "helpers", "json", "json.provider"),
    *("json.tag", "logging", "sessions", "signals", "templating", "testing", "typing", "views"),
    "wrappers",
)


def replace_flask() -> None:
    """Let `flask` and its modules name flasklike's, for imports from now on."""
    importlib.import_module("flask.debughelpers")  # imports from the others
    for name in ("", *(f".{module}" for module in MODULES)):
        importlib.import_module(f"flask{name}")  # those that flasklike itself uses
        sys.modules[f"flask{name}"] = importlib.import_module(f"quartapp.flasklike{name}")


def start_no_server(*_args: object, **_options: object) -> None:
    raise RuntimeError("the tests of Flask replace Werkzeug's server; here another would start")


replace_flask()
# Private names that the tests import.
vars(monkeypatch).setdefault("notset", vars(monkeypatch)["NOTSET"])
vars(flasklike.globals)["_cv_request"] = cv_request
setattr(App, "run", start_no_server)  # noqa: B010  # mypy: a method
