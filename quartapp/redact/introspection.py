"""Reading objects, classes and log records without running any of their code."""

import logging
import types
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

_LONGEST_NAME = 200
_DICT_DESCRIPTORS = (types.GetSetDescriptorType, types.MemberDescriptorType)

# not `cls.__mro__`: a class or its metaclass may define these names itself
bases_of: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
_members_of: Callable[[type], Any] = type.__dict__["__dict__"].__get__


def exception_of(subject: BaseException | logging.LogRecord) -> BaseException | None:
    """The exception itself, or that of a log record, if it has one."""
    if not isinstance(subject, logging.LogRecord):
        return subject
    info = subject.exc_info
    if isinstance(info, tuple) and isinstance(info[1], BaseException):
        return info[1]
    return None


def qualified(cls: type) -> str:
    """The full name of a class, without running code of its metaclass."""
    module = type.__getattribute__(cls, "__module__")
    name = type.__getattribute__(cls, "__qualname__")
    return name if module == "builtins" or type(module) is not str else f"{module}.{name}"


def attributes_of(value: object) -> dict[str, object]:
    """The attributes set on an object, in its `__dict__` or slots, without running its code."""
    slots: dict[str, object] = {}
    for cls in bases_of(type(value)):
        members = _members_of(cls)
        found = members.get("__dict__")
        if type(found) in _DICT_DESCRIPTORS:
            attributes = found.__get__(value)
            return attributes if type(attributes) is dict else {}
        if found is not None:
            return {}  # a property, which is code
        for name in members.get("__slots__", ()):
            member = members.get(name)
            if type(member) is types.MemberDescriptorType:
                with suppress(AttributeError):  # not set
                    slots[name] = member.__get__(value)
    return slots


def attribute_of(value: object, name: str) -> Any:
    """What an attribute of an object or its classes is set to, without running its code: of a
    property, the property. None if it is not set."""
    attributes = attributes_of(value)
    if name in attributes:
        return attributes[name]
    for cls in bases_of(type(value)):
        members = _members_of(cls)
        if name in members:
            return members[name]
    return None


def fields_of(value: tuple[object, ...]) -> tuple[str, ...]:
    """The names of a named tuple's items; none of another tuple."""
    for cls in bases_of(type(value)):
        fields = _members_of(cls).get("_fields")
        if type(fields) is tuple and len(fields) == tuple.__len__(value):
            return tuple(map(as_name, fields))
    return ()


def as_name(key: object) -> str:
    """A key as a name: a str, or bytes as in the headers of ASGI; "" for anything else."""
    cls = type(key)
    if cls is str:
        return cast(str, key)
    if issubclass(cls, str):  # a member of an enum, a name of SQLAlchemy
        return str.__getitem__(cast(str, key), slice(_LONGEST_NAME))
    if issubclass(cls, bytes):
        return bytes.__getitem__(cast(bytes, key), slice(_LONGEST_NAME)).decode("latin-1")
    return ""
