"""What the environment says to a Flask application, it says to `App`."""

import os

import click
import pytest
from quart.cli import ScriptInfo

from quartapp.flasklike import App


def set_all(environment: pytest.MonkeyPatch, **values: str) -> None:
    environment.delenv("FLASK_DEBUG", raising=False)
    environment.setenv("QUART_DEBUG", "")  # so that what App sets is removed
    environment.delenv("QUART_DEBUG")
    for name, value in values.items():
        environment.setenv(name, value)


def test_variables_of_both_prefixes_are_read_and_quarts_win(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_all(
        monkeypatch,
        FLASK_ONE="1",
        QUART_TWO="[2]",
        FLASK_BOTH='"f"',
        QUART_BOTH="q",
        FLASK_IN__A="3",
    )
    config = App("config").config
    assert config.from_prefixed_env()
    assert (config["ONE"], config["TWO"], config["BOTH"], config["IN"]) == (1, [2], "q", {"A": 3})


def test_a_given_prefix_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, FLASK_ONE="1", QUART_ONE="2", OWN_TWO="3")
    config = App("config").config
    config.from_prefixed_env("OWN", loads=str)
    assert config["TWO"] == "3"
    assert "ONE" not in config


@pytest.mark.parametrize(
    ("flask", "quart", "debug"),
    [
        (None, None, False),
        ("1", None, True),
        ("0", None, False),
        (None, "1", True),
        ("1", "0", False),
        ("0", "1", True),
        ("no", None, False),
    ],
)
def test_debug_mode_is_what_the_environment_says(
    flask: str | None, quart: str | None, debug: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"FLASK_DEBUG": flask, "QUART_DEBUG": quart}
    set_all(monkeypatch, **{name: value for name, value in given.items() if value is not None})
    assert App("config").debug is debug
    assert os.environ.get("QUART_DEBUG") == quart
    # The command `quart` sets it again, after the application was loaded.
    with click.Context(click.Command("quart")):
        assert ScriptInfo(create_app=lambda: App("config")).load_app().debug is debug
    assert os.environ.get("FLASK_DEBUG") == flask
