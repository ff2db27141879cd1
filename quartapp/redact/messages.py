"""The text of an exception or a log record, without the data that a driver or a validator adds."""

import _thread
import logging
import re
import time
from collections.abc import Callable
from contextvars import copy_context
from types import FunctionType
from typing import Any, cast

from quartapp.redact.introspection import bases_of, qualified
from quartapp.redact.scrub import window
from quartapp.redact.secret_names import HIDDEN, is_secret_name
from quartapp.redact.values import shown

MESSAGE = 2000

PATIENCE = 0.5
"""Seconds that the text of an exception may take; meanwhile its request waits, and all others."""

_NOT_AGAIN = 60.0
"""Seconds for which a class whose text took longer is not asked again."""

_MOST_SLOW = 100
_slow: dict[str, float] = {}
_NOTES = 5

# not `error.__dict__`: a class of exceptions may define it itself
_attributes_of: Callable[[BaseException], dict[str, object]]
_attributes_of = BaseException.__dict__["__dict__"].__get__


def message_of(error: BaseException) -> str:
    """The text of an exception, bounded but not yet scrubbed.

    The parameters of a statement error are left out, its SQL is not; so is the input of a
    validation error.
    The exception's own `__str__` is called, as it exists to be shown; no other code is. One that
    takes longer than PATIENCE is not waited for.
    """
    try:
        return _message_of(error)[: window(MESSAGE)]
    except (Exception, SystemExit) as failure:  # noqa: BLE001 - foreign code
        return f"<{qualified(type(error))}, whose text raised {qualified(type(failure))}>"


def notes_of(error: BaseException) -> list[str]:
    """What `add_note` added, bounded but not yet scrubbed."""
    notes = _attributes_of(error).get("__notes__")
    if type(notes) is not list:
        return []
    return [note[: window(MESSAGE)] for note in notes[:_NOTES] if type(note) is str]


def message_of_record(record: logging.LogRecord) -> str:
    """The formatted message of a log record, bounded but not yet scrubbed.

    Arguments that are not of Python's own types become `<module.Class>`: their `__str__` may do
    anything, for example query the database for an expired row.
    """
    if type(record.msg) is not str:
        return _text(record.msg)
    if not record.args:
        return record.msg[: window(MESSAGE)]
    try:
        message: str = record.msg[: window(MESSAGE)] % _safe_arguments(record.args)
        return message[: window(MESSAGE)]
    except (ValueError, TypeError, KeyError, OverflowError):
        return f"{record.msg[:MESSAGE]} % {shown(record.args)}"


def _message_of(error: BaseException) -> str:
    kind = _kind(type(error))
    if kind == "sqlalchemy.exc.StatementError":
        return _statement_message(error)
    if kind == "pydantic_core._pydantic_core.ValidationError":
        return _validation_message(error)
    said = cast(object, type(error).__str__)
    if said is BaseException.__str__:
        return (
            "" if not error.args else _text(error.args[0] if len(error.args) == 1 else error.args)
        )
    if said is KeyError.__str__ and len(error.args) == 1:
        return shown(error.args[0])
    # Only code in Python can take its time: a base class of Python's answers at once.
    return _asked(error) if type(said) is FunctionType else str(error)


def _asked(error: BaseException) -> str:
    """`str(error)`, asked in a thread with the caller's context, for PATIENCE seconds at most."""
    name = qualified(type(error))
    if time.monotonic() < _slow.get(name, 0.0):
        return f"<{name}, whose text takes too long>"
    texts: list[str] = []
    failures: list[BaseException] = []
    context, done = copy_context(), _thread.allocate_lock()

    def ask() -> None:
        try:
            texts.append(context.run(str, error))
        except BaseException as failure:  # noqa: BLE001 - raised below
            failures.append(failure)
        finally:
            done.release()

    done.acquire()
    # Not `threading`: an error in a destructor can come while one of its locks is held.
    _thread.start_new_thread(ask, ())
    if not done.acquire(timeout=PATIENCE):
        if len(_slow) >= _MOST_SLOW:
            _slow.clear()
        _slow[name] = time.monotonic() + _NOT_AGAIN
        return f"<{name}, whose text takes too long>"
    if failures:
        raise failures.pop()
    return texts[0]


_CAREFUL = {
    "StatementError": "sqlalchemy.exc.StatementError",
    "ValidationError": "pydantic_core._pydantic_core.ValidationError",
}
_name_of: Callable[[type], str] = type.__dict__["__name__"].__get__


def _kind(cls: type) -> str:
    """The base class whose text repeats data, if there is one. Found by its name, as neither
    library has to be installed."""
    for base in bases_of(cls):
        careful = _CAREFUL.get(_name_of(base))
        if careful is not None and qualified(base) == careful:
            return careful
    return ""


def _statement_message(error: Any) -> str:
    text = _text(error.args[0]) if error.args else ""
    statement: object = error.statement
    return f"{text}\n[SQL: {_sql(statement[:MESSAGE])}]" if type(statement) is str else text


def _sql(statement: str) -> str:
    """A statement; without its literals if it names a secret, as they have no names themselves."""
    if not any(map(is_secret_name, _WORD.findall(statement))):
        return statement
    return _SQL_TEXT.sub(lambda text: f"'{HIDDEN}'" if len(text[0]) > 5 else text[0], statement)


_WORD = re.compile(r"\w+")
_SQL_TEXT = re.compile(r"'[^']*'?")


def _validation_message(error: Any) -> str:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    lines = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in problems[:20])
    return "\n".join([f"{error.error_count()} of {error.title}", *lines])


def _text(value: object) -> str:
    if type(value) is str:
        return value[: window(MESSAGE)]
    if issubclass(type(value), BaseException):  # isinstance would run code of the value
        return message_of(cast(BaseException, value))
    return shown(value)


def _safe_arguments(arguments: object) -> Any:
    if type(arguments) is tuple:
        return tuple(map(_safe, arguments))
    if type(arguments) is dict:
        return {name: _safe(value) for name, value in arguments.items()}
    return _safe(arguments)


def _safe(argument: object) -> object:
    if type(argument) in (int, float, bool, type(None)):
        return argument
    return argument[: window(MESSAGE)] if type(argument) is str else _Argument(argument)


class _Argument:
    """Takes the place of an argument in a message, so that its own code is not run."""

    __slots__ = ("_value",)

    def __init__(self, value: object) -> None:
        self._value = value

    def __str__(self) -> str:
        return _text(self._value)

    def __repr__(self) -> str:
        return shown(self._value)
