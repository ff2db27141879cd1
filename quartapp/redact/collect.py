"""Collecting the secrets that can be recognised, so that they can be hidden everywhere else.

A value under a secret's name is never shown, but the same value may be in a message, a URL or a
local of another name. It is searched for deeper in the values than what is shown of them.
"""

import logging
from base64 import b64decode
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from types import BuiltinFunctionType, FrameType, FunctionType, ModuleType
from typing import Any
from urllib.parse import unquote_plus, urlsplit

from quartapp.redact.context import Context
from quartapp.redact.introspection import as_name, attributes_of, fields_of
from quartapp.redact.scrub import BYTES
from quartapp.redact.secret_names import (
    EVERYTHING,
    NOTHING,
    hides,
    is_secret_name,
    is_secret_number,
)

_ITEMS = 200
_DEPTH = 4
_SECRETS = 50
_VALUES = 2000
"""Values that are read of all containers together: a body of JSON can hold any number."""
_LONGEST = 1001
"""Characters that are kept of a secret: one more than the scrubber searches for as a whole. It
searches for the beginning of a longer one."""

# where WTForms' fields and pydantic's SecretStr keep what they hold
_HELD = ("data", "raw_data", "_secret_value", "value")
_NAMES = 200
_NO_VALUES = (ModuleType, FunctionType, BuiltinFunctionType, type)
_EMPTY = frozenset((type(None), bool, int, float))


class SecretCollector:
    """Collects the values under the names of secrets; at most 50, in `secrets`."""

    def __init__(self) -> None:
        self.secrets: set[str] = set()
        self._left = _VALUES

    def named(self, name: str, value: object) -> None:
        """Read a value and what it contains. Every string in it is a secret if the name is one of a
        secret."""
        if type(value) not in _EMPTY:
            self._look(value, hides(name), _DEPTH)
        elif type(value) is int and is_secret_number(name):
            self._add(str(value))

    def record(self, record: logging.LogRecord) -> None:
        """Read the arguments of a log record, if they have names."""
        if type(record.args) is dict:
            self.named("", record.args)

    def pairs(self, pairs: Iterable[tuple[object, object]]) -> None:
        """Read headers, arguments or the fields of a form."""
        for key, value in islice(pairs, _ITEMS):
            name = as_name(key)
            if type(value) is str and is_secret_name(name):
                for part in _parts(name.lower(), value):
                    self._add(part)
            else:
                self.named(name, value)

    def url(self, url: str) -> None:
        """Read the arguments of a URL, and the password before its host."""
        try:
            parts = urlsplit(url)
            password = parts.password
        except ValueError:  # not a URL
            return
        if password:
            self._add(password)
        for argument in parts.query.split("&")[:_ITEMS]:
            name, _, value = argument.partition("=")
            hidden = hides(unquote_plus(name)) if value else NOTHING
            if hidden == EVERYTHING or (hidden and "@" in unquote_plus(value)):
                self._add(value)  # as it came: a client may encode more characters than necessary
                self._add(unquote_plus(value))

    def context(self, context: Context) -> None:
        """Read all that is known of a request."""
        self.pairs(context.headers)
        for values in (context.form, context.path_args, context.referrer_args, context.extra):
            if values is not None:
                self.pairs(_items(values))
        self.named("", context.json)
        self.url(context.url)
        for name, value in context.headers:
            if name.lower() == "referer":
                self.url(value)

    def _add(self, secret: str) -> None:
        if len(self.secrets) < _SECRETS:
            self.secrets.add(secret)

    def _look(self, value: Any, hidden: int, depth: int) -> None:
        cls = type(value)
        if issubclass(cls, str):
            if hidden == EVERYTHING or (hidden and str.__contains__(value, "@")):
                self._add(str.__getitem__(value, slice(_LONGEST)))
        elif issubclass(cls, (bytes, bytearray)):
            if hidden == EVERYTHING:
                base = bytes if issubclass(cls, bytes) else bytearray
                self._add(base.__getitem__(value, slice(_LONGEST)).decode("utf-8", BYTES))
        elif depth > 0 and cls not in _EMPTY:
            for name, item in _inside(value, hidden):
                self._left -= 1
                if self._left < 0:
                    return
                if type(item) is int:
                    self.named(name, item)
                else:
                    # an address under the name of a secret is a secret
                    inner = hides(name) if name and hidden < EVERYTHING else 0
                    self._look(item, inner or hidden, depth - 1)


def locals_of(frame: FrameType) -> Iterator[tuple[str, object]]:
    """Names and values of the locals of a call; in the frame of a module without code."""
    variables = frame.f_locals
    if type(variables) is not dict and type(variables).__name__ != "FrameLocalsProxy":
        return  # the body of a class whose metaclass chose another namespace
    outermost = frame.f_code.co_name == "<module>"
    for name, value in islice(tuple(variables.items()), _NAMES):
        if name.startswith("__") or (outermost and issubclass(type(value), _NO_VALUES)):
            continue
        yield name, value


def _items(values: Mapping[str, object]) -> Iterable[tuple[object, object]]:
    # `items` of a MultiDict has the first value of each name; its dict has all of them
    return dict.items(values) if isinstance(values, dict) else values.items()


def _inside(value: Any, hidden: int) -> Iterator[tuple[str, object]]:
    """The items of a container, with their names if they have any, or the attributes of another
    object whose names hide something."""
    cls = type(value)
    if issubclass(cls, dict):
        for key, item in islice(dict.items(value), _ITEMS):
            yield as_name(key), item
    elif cls is not tuple and issubclass(cls, tuple) and (fields := fields_of(value)):
        yield from islice(zip(fields, tuple.__iter__(value), strict=False), _ITEMS)
    elif issubclass(cls, tuple) and tuple.__len__(value) == 2:
        name, item = tuple.__iter__(value)
        yield "", name
        yield as_name(name), item
    elif base := next((base for base in _SEQUENCES if issubclass(cls, base)), None):
        for item in islice(base.__iter__(value), _ITEMS):
            yield "", item
    else:
        attributes = attributes_of(value)
        whole = hidden == EVERYTHING
        for name in _HELD if whole else tuple(islice(attributes, _ITEMS)):
            if name in attributes and (whole or hides(as_name(name)) or (hidden and name in _HELD)):
                yield as_name(name), attributes[name]


_SEQUENCES: tuple[Any, ...] = (list, tuple, set, frozenset, deque)


def _parts(name: str, value: str) -> Iterator[str]:
    """The secrets inside a header: a Cookie has several, an Authorization follows its scheme."""
    if name == "cookie":
        for cookie in value[:10_000].split(";"):
            yield cookie.partition("=")[2].strip().strip('"')
    elif name.endswith("authorization"):
        scheme, _, credentials = value[:_LONGEST].partition(" ")
        yield credentials.strip() or scheme
        if scheme.lower() == "basic":
            with suppress(ValueError):
                yield b64decode(credentials).decode("utf-8", "replace").partition(":")[2]
    else:
        yield value[:_LONGEST]
