"""The tables of the tool say what flasklike does."""

import inspect
from typing import Any

import flask
import pytest
from quart.datastructures import FileStorage

from quartapp import flasklike
from quartapp.flasklike import App, Blueprint, Request, Response
from quartapp.flasklike.port import names
from quartapp.flasklike.port.imports import home
from quartapp.flasklike.sessions import SecureCookieSessionInterface

TYPES: dict[str, Any] = {
    "app": App,
    "blueprint": Blueprint,
    "file": FileStorage,
    "request": Request,
    "response": Response,
    "sessions": SecureCookieSessionInterface,
    "flask": flasklike,
}
NOT_CALLED = {"file.load", "request.close", "response.close", "sessions.make_null_session"}
"""Coroutine functions that no application of Flask calls."""


def is_awaited(value: Any) -> bool:
    function: Any = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
    if inspect.iscoroutinefunction(inspect.unwrap(function)):
        return True
    result = getattr(function, "__annotations__", {}).get("return")
    return str(result).removeprefix("typing.").startswith(("Coroutine", "collections.abc.Corou"))


@pytest.mark.parametrize("kind", [kind for kind in TYPES if kind != "flask"])
def test_every_coroutine_function_that_flask_has_is_awaited(kind: str) -> None:
    known = {name for table in (names.CALLS, names.ATTRIBUTES) for name in table}
    flasks = {
        "app": flask.Flask,
        "blueprint": flask.Blueprint,
        "request": flask.Request,
        "response": flask.Response,
    }.get(kind, TYPES[kind])
    coroutines = {
        f"{kind}.{name}"
        for name in dir(TYPES[kind])
        if not name.startswith("_") and is_awaited(inspect.getattr_static(TYPES[kind], name))
        if hasattr(flasks, name)
    }
    assert coroutines - known <= {
        "file.load",
        "request.close",
        "response.close",
        "sessions.make_null_session",
    }


def test_every_name_of_flask_is_found() -> None:
    public = {name for name in vars(flask) if not name.startswith("_")}
    modules = {name for name in public if inspect.ismodule(vars(flask)[name])}
    assert {name for name in public - modules if home("flask", name) is None} <= {"t"}


@pytest.mark.parametrize("name", [n for n, member in names.CALLS.items() if n.startswith("flask.")])
def test_functions_are_awaited_as_the_table_says(name: str) -> None:
    function = getattr(flasklike, name.removeprefix("flask."))
    assert is_awaited(function) is names.CALLS[name].awaited
