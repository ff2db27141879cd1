"""The table of API names in docs/port.md agrees with both frameworks."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import flask
import pytest
import quart
from flask.views import View

from quartapp import flasklike
from quartapp.flasklike import App

DOCUMENT = Path(__file__).parents[3] / "docs" / "port.md"
NAMES = re.compile(
    r"^\| `(?P<where>\w+)\.(?P<name>\w+)` \| (?P<state>same|renamed|gone) ", re.MULTILINE
)


def places() -> dict[str, tuple[Any, Any]]:
    old, new = flask.Flask("old"), App("new")
    exported = {name: getattr(flasklike, name) for name in flasklike.__all__}
    return {
        "app": (old, new),
        "blueprint": (flask.Blueprint("b", __name__), flasklike.Blueprint("b", __name__)),
        "config": (Keys(old.config), Keys(new.config)),
        "flask": (flask, SimpleNamespace(**{**vars(quart), **exported})),
        "request": (flask.Request, flasklike.Request),
        "sessions": (flask.sessions, quart.sessions),
        "view": (View, flasklike.View),
    }


class Keys:
    """A configuration, its names as attributes."""

    def __init__(self, config: Any) -> None:
        self.__dict__.update(config)


ROWS = list(NAMES.finditer(DOCUMENT.read_text()))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_table_of_names_is_true(row: re.Match[str]) -> None:
    old, new = places()[row["where"]]
    exists = hasattr(old, row["name"]), hasattr(new, row["name"])
    expected = {"same": [(True, True)], "renamed": [(True, False), (False, False)]}
    assert exists in expected.get(row["state"], [(False, False), (False, True)])


def test_the_table_of_names_is_not_empty() -> None:
    assert len(ROWS) > 90
