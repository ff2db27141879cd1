"""Values as text, without running their code: no `__repr__`, `__str__`, iterator or attribute.

The cost does not depend on the size of a value.
"""

import datetime
import decimal
import enum
import pathlib
import types
import uuid
import zoneinfo
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from quartapp.redact.introspection import as_name, attributes_of, fields_of, qualified
from quartapp.redact.scrub import LONG, SHOWN, window
from quartapp.redact.secret_names import ADDRESS, HIDDEN, hides, is_secret_name

ITEMS = 20
_DEPTH = 2
_TOTAL = 1000

_HARMLESS = (None, True, False, "", b"", 0)
_HARMLESS_TYPES = tuple(map(type, _HARMLESS))


def shown(value: object, depth: int = _DEPTH) -> str:
    """The value as text; objects of other than Python's own types are `<module.Class>`.

    A long string is longer than what will be shown, and between marks (`LONG`): `Scrubber.clean`
    cuts it after hiding the secrets, as otherwise half a secret could remain at the cut.
    """
    cls = type(value)
    show = _BY_TYPE.get(cls)
    if show is not None:
        return show(value)
    try:
        if issubclass(type(cls), enum.EnumMeta):
            return f"{qualified(cls)}.{object.__getattribute__(value, '_name_')}"
        for base, container in _CONTAINERS:
            if issubclass(cls, base):
                return container(value, depth)
        return _shown_object(value, cls)
    except Exception:  # noqa: BLE001 - a container changed by another thread while it is read
        return f"<{qualified(cls)}>"


def is_secret(name: str, value: object) -> bool:
    """Whether the name says that its value is a secret, or the mail address of a person.

    None, True, "" and 0 are shown under any name: that a token is None explains many errors.
    """
    hidden = hides(name)
    if hidden == ADDRESS:
        return type(value) is str and "@" in value
    return bool(hidden) and not (type(value) in _HARMLESS_TYPES and value in _HARMLESS)


def named(name: str, value: object, depth: int = _DEPTH) -> str:
    """The value of a name, hidden if the name says that it is a secret."""
    if not is_secret(name, value):
        return shown(value, depth)
    cls = type(value)
    if cls in _BY_TYPE or issubclass(cls, _HOLDERS) or issubclass(type(cls), enum.EnumMeta):
        return HIDDEN
    # of other objects the class is shown: a database session is no secret
    return f"<{qualified(cls)}>"


def _shown_str(value: str) -> str:
    if len(value) <= SHOWN:
        return repr(value)
    return LONG.format(repr(value[: window(SHOWN)]))


def _shown_bytes(value: bytes | bytearray) -> str:
    if len(value) <= SHOWN:
        return repr(bytes(value))
    return LONG.format(repr(bytes(value[: window(SHOWN)])))


def _shown_int(value: int) -> str:
    # converting a huge number takes quadratic time
    return int.__repr__(value) if value.bit_length() <= 640 else f"<int, {value.bit_length()} bits>"


def _shown_decimal(value: decimal.Decimal) -> str:
    return repr(value) if len(value.as_tuple().digits) <= SHOWN else "<decimal.Decimal>"


def _shown_moment(value: datetime.datetime | datetime.time) -> str:
    # only these time zones run no foreign code
    if type(value.tzinfo) in (type(None), datetime.timezone, zoneinfo.ZoneInfo):
        return value.isoformat()
    return f"<{qualified(type(value))}>"


def _shown_function(value: Any) -> str:
    return f"<function {value.__qualname__}>"


def _shown_object(value: object, cls: type) -> str:
    if issubclass(cls, type):
        return f"<class {qualified(value)}>"  # type: ignore[arg-type]  # a metaclass makes classes
    # the id tells which row it is; it is read if it is loaded, and never loaded for this
    identity = attributes_of(value).get("id")
    if type(identity) is str and is_secret_name(cls.__name__):
        return f"<{qualified(cls)}>"
    if type(identity) in (int, str, uuid.UUID):
        return f"<{qualified(cls)} id={shown(identity)}>"
    return f"<{qualified(cls)}>"


def _shown_dict(value: dict[object, object], depth: int) -> str:
    if depth <= 0:
        return _nested(value, "{}")
    pairs = (
        f"{shown(key, depth - 1)}: {named(as_name(key), item, depth - 1)}"
        for key, item in islice(dict.items(value), ITEMS)
    )
    return _within(value, "{", pairs, "}", dict.__len__(value))


def _shown_list(value: list[object], depth: int) -> str:
    if depth <= 0:
        return _nested(value, "[]")
    items = (shown(item, depth - 1) for item in islice(list.__iter__(value), ITEMS))
    return _within(value, "[", items, "]", list.__len__(value))


def _shown_tuple(value: tuple[object, ...], depth: int) -> str:
    if depth <= 0:
        return _nested(value, "()")
    size = tuple.__len__(value)
    if type(value) is not tuple and (fields := fields_of(value)):
        pairs = zip(fields, tuple.__iter__(value), strict=False)
        items = (f"{name}={named(name, item, depth - 1)}" for name, item in pairs)
    elif size == 2:  # a header, a query's argument: the first names the second
        name, second = tuple.__iter__(value)
        both = [shown(name, depth - 1), named(as_name(name), second, depth - 1)]
        items = (item for item in both)
    else:
        items = (shown(item, depth - 1) for item in islice(tuple.__iter__(value), ITEMS))
    return _within(value, "(", items, ",)" if size == 1 else ")", size)


def _shown_set(value: Any, depth: int) -> str:
    base = set if issubclass(type(value), set) else frozenset
    if depth <= 0:
        return _nested(value, "{}")
    items = (shown(item, depth - 1) for item in islice(base.__iter__(value), ITEMS))
    return _within(value, "{", items, "}", base.__len__(value))


def _shown_deque(value: Any, depth: int) -> str:
    items = (shown(item, depth - 1) for item in islice(deque.__iter__(value), ITEMS))
    return _within(value, "[", items, "]", deque.__len__(value)) if depth > 0 else "[…]"


def _shown_str_like(value: str, depth: int) -> str:
    return _shown_str(str.__getitem__(value, slice(window(SHOWN) + 1)))


def _shown_bytes_like(value: bytes, depth: int) -> str:
    return _shown_bytes(bytes.__getitem__(value, slice(window(SHOWN) + 1)))


def _nested(value: object, brackets: str) -> str:
    return f"{_prefix(value)}{brackets[0]}…{brackets[1]}"


def _prefix(value: object) -> str:
    cls = type(value)
    return "" if cls in (dict, list, tuple, set) else cls.__name__ + " "


def _within(value: object, opening: str, items: Iterable[str], closing: str, size: int) -> str:
    shown_items: list[str] = []
    length = 0
    for item in items:
        shown_items.append(item)
        length += min(len(item), SHOWN)
        if length > _TOTAL:
            break
    if len(shown_items) < size:
        shown_items.append(f"… {size - len(shown_items)} more")
    return f"{_prefix(value)}{opening}{', '.join(shown_items)}{closing}"


_BY_TYPE: dict[type, Callable[[Any], str]] = {
    str: _shown_str,
    bytes: _shown_bytes,
    bytearray: _shown_bytes,
    int: _shown_int,
    decimal.Decimal: _shown_decimal,
    datetime.date: str,
    datetime.timedelta: str,
    datetime.datetime: _shown_moment,
    datetime.time: _shown_moment,
    types.FunctionType: _shown_function,
    types.BuiltinFunctionType: _shown_function,
    **dict.fromkeys(
        (pathlib.PosixPath, pathlib.PurePosixPath, pathlib.WindowsPath, pathlib.PureWindowsPath),
        lambda path: _shown_str(str(path)),
    ),
    **dict.fromkeys(
        (
            bool,
            float,
            complex,
            range,
            type(None),
            type(...),
            uuid.UUID,
        ),
        repr,
    ),
}

_CONTAINERS: tuple[tuple[type, Callable[[Any, int], str]], ...] = (
    (dict, _shown_dict),
    (list, _shown_list),
    (tuple, _shown_tuple),
    (set, _shown_set),
    (frozenset, _shown_set),
    (deque, _shown_deque),
    (str, _shown_str_like),
    (bytes, _shown_bytes_like),
)

_HOLDERS = tuple(base for base, _ in _CONTAINERS)
