"""What we use of Werkzeug's debugger, which may be removed or changed (pallets/werkzeug#3244)."""

import re
import sys
from importlib.metadata import version

import pytest
from werkzeug.debug import get_pin_and_cookie_name
from werkzeug.sansio.utils import host_is_trusted

from quartapp.debugger.server.access import machine_pin


def test_the_version_is_one_that_was_looked_at() -> None:
    assert version("werkzeug").startswith("3.1.")


def test_a_pin_is_three_groups_of_digits_and_stays() -> None:
    pin = machine_pin("shop")

    assert pin is not None
    assert re.fullmatch(r"\d{3}-\d{3}-\d{3}", pin)
    assert machine_pin("shop") == pin
    assert machine_pin("another") != pin


@pytest.mark.parametrize(
    ("variable", "pin"),
    [("off", None), ("123-45", "123-45"), ("123456789", "123-456-789")],
)
def test_the_variable_of_werkzeug_sets_the_pin(
    variable: str, pin: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WERKZEUG_DEBUG_PIN", variable)

    assert machine_pin("shop") == pin


def test_it_takes_an_application_and_gives_pin_and_cookie_name() -> None:
    pin, cookie = get_pin_and_cookie_name(machine_pin)  # type: ignore[arg-type]  # any object with a module

    assert isinstance(pin, str)
    assert isinstance(cookie, str)


def test_the_display_hook_survives_the_import() -> None:
    before = sys.displayhook
    for name in [name for name in sys.modules if name.startswith("werkzeug.debug")]:
        del sys.modules[name]

    machine_pin("shop")

    assert sys.displayhook is before


@pytest.mark.parametrize(
    ("host", "trusted"),
    [
        ("localhost:5000", True),
        ("a.b.localhost", True),
        ("localhost.example", False),
        ("evil-localhost", False),
        ("", False),
    ],
)
def test_hosts_match_as_we_rely_on(host: str, trusted: bool) -> None:
    assert host_is_trusted(host, [".localhost", "127.0.0.1"]) is trusted
