"""A pytest plugin for the suites of any App, Quart or ASGI application.

Installing quartapp is enough: pytest loads it by its entry point, and it does nothing until a test
uses one of its fixtures or markers. Write a fixture `app` that returns your application. Its async
fixtures need pytest-asyncio, in either mode; they run in the event loop of the test.

| fixture | what a test gets |
|---|---|
| `app` | override it: an application, one that is started already, or a function that makes one |
| `started_app` | that application, started before the test and stopped after it (lifespan) |
| `client` | a client with its own cookies; httpx.AsyncClient if the application is not Quart |
| `database_url` | an empty SQLite file; override it to test on another engine |
| `isolate_database` | True: what is written to the application's database is gone after the test |
| `session` | a database session to prepare and inspect rows; rolled back and closed at the end |
| `max_queries` | `with max_queries(3):` fails if the block executes more SQL statements |
| `mail_server` | a real SMTP server for the application's mails: `await mail_server.receive()` |
| `captured_reports` | the error reports that were recorded, as a list that grows |
| `clock` | a time that only the test moves: `clock.advance(minutes=2)` |
| `live_server` | `with live_server("shop:app") as server:` is a server process: `server.url` |

A fixture of the same name in a conftest.py, a test module or another plugin replaces that of this
plugin. What is here imports no library before it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from quartapp.testing.plugin import (  # noqa: F401 - pytest calls them
    pytest_addoption,
    pytest_configure,
    pytest_fixture_setup,
    pytest_runtest_call,
    pytest_runtest_setup,
    pytest_runtest_teardown,
)

if TYPE_CHECKING:
    from quart.typing import TestClientProtocol as Client

    from quartapp.testing.applications import started
    from quartapp.testing.clock import Clock
    from quartapp.testing.forkserver import ForkServer
    from quartapp.testing.forms import FormError, submit
    from quartapp.testing.isolation import isolated
    from quartapp.testing.mail import MailServer
    from quartapp.testing.queries import max_queries
    from quartapp.testing.server import LiveServer
    from quartapp.testing.wiring import send_error_mails

__all__ = [
    "Client",
    "Clock",
    "ForkServer",
    "FormError",
    "LiveServer",
    "MailServer",
    "isolated",
    "max_queries",
    "send_error_mails",
    "started",
    "submit",
]

_MODULES = {
    "Client": "quart.typing",
    "Clock": "quartapp.testing.clock",
    "ForkServer": "quartapp.testing.forkserver",
    "FormError": "quartapp.testing.forms",
    "LiveServer": "quartapp.testing.server",
    "MailServer": "quartapp.testing.mail",
    "isolated": "quartapp.testing.isolation",
    "max_queries": "quartapp.testing.queries",
    "send_error_mails": "quartapp.testing.wiring",
    "started": "quartapp.testing.applications",
    "submit": "quartapp.testing.forms",
}


def __getattr__(name: str) -> object:
    """Import what a suite uses, when it uses it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(_MODULES[name])
    return getattr(module, "TestClientProtocol" if name == "Client" else name)
