"""The short reference of an error, which the client sees and the operator finds in the log."""

import secrets
from typing import cast

from quart import g, has_app_context

from quartapp.reporting.hooks.request_state import current_state

_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # nothing that is misread on the telephone
_LENGTH = 8


def error_reference() -> str:
    """The reference of this request's error: made at the first call, then always the same.

    It is kept in the `RequestState`, which outlives the request's context; without one in the
    application context. Outside of both each call makes a new one.
    """
    state = current_state.get()
    if state is not None:
        state.reference = state.reference or _make()
        return state.reference
    if not has_app_context():
        return _make()
    if "error_reference" not in g:
        g.error_reference = _make()
    return cast(str, g.error_reference)


def _make() -> str:
    # one draw for all: each is a system call, at which another thread may take the interpreter
    number = secrets.randbelow(len(_ALPHABET) ** _LENGTH)
    found = ""
    for _ in range(_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        found += _ALPHABET[digit]
    return found
