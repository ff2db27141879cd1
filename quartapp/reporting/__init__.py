"""From an exception to a person: what the operator sees of an error.

The folders, in the order in which an error passes them: `hooks` (where errors are caught),
`capture` (the report), `journal` (on disk), `counting` (into the database), `alerts` (who is
notified), `mails`, `webhooks`, `sinks` (Sentry), `checks` (for `errors doctor` and `errors test`).
Not here: what the client sees (`errors/`), and the operators' pages (`inbox/`).

docs/report.md says in which module a line of code belongs.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quartapp.reporting.handler.handler import QueuedSMTPHandler as QueuedSMTPHandler
    from quartapp.reporting.hooks.middleware import is_recorded as is_recorded
    from quartapp.reporting.hooks.request_context import request_secrets as request_secrets
    from quartapp.reporting.hooks.request_state import error_reference as error_reference
    from quartapp.reporting.hooks.request_state import expect as expect
    from quartapp.reporting.hooks.request_state import has_reference as has_reference
    from quartapp.reporting.hooks.request_state import in_request as in_request
    from quartapp.reporting.report import REFERENCE_SUFFIX as REFERENCE_SUFFIX
    from quartapp.reporting.report import Report as Report
    from quartapp.reporting.setup import Reporting as Reporting
    from quartapp.reporting.setup import notifies_operator as notifies_operator
    from quartapp.reporting.setup import secrets_of as secrets_of
    from quartapp.reporting.setup import trouble as trouble
    from quartapp.reporting.tables import metadata as metadata

# Imported when they are first used: a program that only logs needs neither Quart nor a database.
_MODULES = {
    "REFERENCE_SUFFIX": "report",
    "QueuedSMTPHandler": "handler.handler",
    "Report": "report",
    "Reporting": "setup",
    "error_reference": "hooks.request_state",
    "expect": "hooks.request_state",
    "has_reference": "hooks.request_state",
    "in_request": "hooks.request_state",
    "is_recorded": "hooks.middleware",
    "metadata": "tables",
    "notifies_operator": "setup",
    "request_secrets": "hooks.request_context",
    "secrets_of": "setup",
    "trouble": "setup",
}

if not TYPE_CHECKING:  # a type checker wants a list of literals; "X as X" says the same to it
    __all__ = list(_MODULES)


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value
