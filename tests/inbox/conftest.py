"""Applications that have an inbox, on App and on plain Quart."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from quart import Quart, request, session

from quartapp.errors import ErrorPages
from quartapp.flasklike import App
from quartapp.inbox import Inbox
from quartapp.reporting import Reporting

OPERATOR = {"X-Operator": "1"}
"""The header by which these applications know an operator."""


def is_operator() -> bool:
    # As most applications, it reads the session.
    return request.headers.get("X-Operator") == "1" or "operator" in session


@pytest.fixture(params=[App, Quart, "pages"], ids=["App", "Quart", "Quart-ErrorPages"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Quart:
    """One with its own file of errors; each kind finds its own way to a 404."""
    made: Quart = make_app(
        tmp_path, Quart if request.param == "pages" else request.param, request.param
    )
    return made


def make_app(folder: Path, kind: Callable[..., Any] = App, pages: object = "pages") -> Any:
    made = kind("shop", instance_path=str(folder), static_folder=None)
    made.config["SECRET_KEY"] = "k" * 40
    if pages == "pages":
        ErrorPages(made)
    Reporting(made)
    Inbox(made, allow=is_operator)
    return made
