"""From an exception to a person: what the operator sees of an error.

The folders, in the order in which an error passes them: `hooks` (where errors are caught),
`capture` (the report), `journal` (on disk), `counting` (into the database), `alerts` (who is
notified), `mails`, `sinks` (Sentry), `checks` (for `errors doctor` and `errors test`). Not here:
what the client sees (`errors/`), and the operators' pages (`inbox/`).

docs/report.md says in which module a line of code belongs.
"""

from quartapp.reporting.hooks.request_context import request_secrets
from quartapp.reporting.hooks.request_state import (
    error_reference,
    expect,
    has_reference,
    in_request,
)
from quartapp.reporting.report import REFERENCE_SUFFIX, Report
from quartapp.reporting.setup import init_app, notifies_operator, secrets_of, trouble

__all__ = [
    "REFERENCE_SUFFIX",
    "Report",
    "error_reference",
    "expect",
    "has_reference",
    "in_request",
    "init_app",
    "notifies_operator",
    "request_secrets",
    "secrets_of",
    "trouble",
]
