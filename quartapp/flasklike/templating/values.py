"""The values that a template meets: awaited where they are awaitable, and escaped.

The code that `compiler` writes calls these functions for every value. Most values are of a type
that is known not to be awaitable (`plain`), and cost one look into a set.
"""

import inspect
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from itertools import chain
from types import NoneType
from typing import Any

from jinja2 import TemplateRuntimeError
from jinja2.utils import internalcode
from markupsafe import Markup, escape
from werkzeug.local import LocalProxy

from quartapp.flasklike._upstream import escape_inner
from quartapp.flasklike.concurrency.awaiting import can_wait, described, drop, wait

_END: Any = object()

plain: set[type] = {bool, dict, float, int, list, LocalProxy, Markup, NoneType, str, tuple}
"""Types whose values are not awaited. Those that are met are added, see `awaited`.

A proxy is not awaited although its class could be: reading the session is an access to it.
"""

_UNPACKED = {list, tuple}

_MOST_TYPES = 2000
"""An application that makes classes while it runs must not fill the memory with them."""

_CONTAINERS = {
    *(dict, frozenset, list, range, set, str, tuple, Markup),
    *map(type, ({}.items(), {}.keys(), {}.values())),
}
"""Types that can be iterated twice: once to look at what they contain."""

internalcode(wait)  # not shown in tracebacks of templates


@internalcode
def awaited(value: Any) -> Any:
    """*value*, or what awaiting it results in; a result that is awaitable is awaited again.

    Raises TemplateRuntimeError where nothing can be awaited.
    """
    while (kind := type(value)) not in plain:
        if not hasattr(kind, "__await__"):
            if len(plain) < _MOST_TYPES:
                plain.add(kind)
            break
        if not can_wait():
            raise _cannot_wait(value)
        value = wait(value)
    return value


@internalcode
def show(value: Any) -> str:
    """What `markupsafe.escape` returns, but a str is not made a Markup: it is joined at once."""
    if type(value) is str:
        escaped: str = escape_inner(value)
        return escaped
    return escape(value if type(value) in plain else awaited(value))


@internalcode
def iterated(value: Any, unpack: bool = False) -> Iterable[Any]:
    """*value* for a loop, or for a filter that iterates: what is in it is awaited as well.

    An asynchronous iterable is iterated. *unpack* is for items that are unpacked; see `unpacked`.
    """
    value = awaited(value)
    kind = type(value)
    each = unpacked if unpack else awaited
    if kind in _CONTAINERS:
        if plain.issuperset(map(type, value)) and not (unpack and _may_unpack(value)):
            return value  # type: ignore[no-any-return]  # a container
    elif hasattr(kind, "__aiter__") and not hasattr(kind, "__iter__"):
        return map(each, _steps(value))
    return map(each, value)


@internalcode
def contents(value: Any) -> Any:
    """*value* to the right of `in`: what is in a container is awaited."""
    value = awaited(value)
    if type(value) in _CONTAINERS and not plain.issuperset(map(type, value)):
        return list(map(awaited, value))
    return value


@internalcode
def _steps(iterable: Any) -> Iterator[Any]:
    iterator = aiter(iterable)
    try:
        while (item := awaited(_next(iterator))) is not _END:
            yield item
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None and can_wait():  # else the event loop closes it
            wait(close())


@internalcode
async def _next(iterator: Any) -> Any:
    """A coroutine, which can be closed before it begins; what `anext` returns cannot."""
    return await anext(iterator, _END)


@internalcode
def unpacked(value: Any) -> Any:
    """*value* with everything in it awaited, for several names to which it is unpacked."""
    value = awaited(value)
    if type(value) not in _UNPACKED or _is_flat(value):
        return value
    return [unpacked(each) for each in value]


def _may_unpack(values: Iterable[Any]) -> bool:
    """Whether `unpacked` may change one of *values*."""
    kinds = set(map(type, values))
    return not (kinds <= _UNPACKED and _is_flat(chain.from_iterable(values)))


def _is_flat(values: Iterable[Any]) -> bool:
    kinds = set(map(type, values))
    return plain.issuperset(kinds) and kinds.isdisjoint(_UNPACKED)


@internalcode
def unpacked_mapping(value: Any) -> Any:
    """*value* with everything in it awaited, for a call that takes it as keyword arguments."""
    value = awaited(value)
    if not isinstance(value, Mapping):
        return value
    return {key: awaited(each) for key, each in value.items()}


def are_plain(variables: Mapping[str, Any]) -> bool:
    """Whether no value of *variables* is awaitable; one of a type that is new may be."""
    return plain.issuperset(map(type, variables.values()))


@internalcode
def await_variables(variables: MutableMapping[str, Any], template: str | None) -> None:
    """Replace the awaitable values of *variables*, which are those of *template*.

    The error of one has a note that names the variable.
    """
    for name, value in variables.items():
        if type(value) in plain:
            continue
        try:
            variables[name] = awaited(value)
        except Exception as error:
            error.add_note(f"It was awaited as the variable {name!r} of {named(template)}.")
            raise


def named(template: str | None) -> str:
    """The name of a template, in the text of an error."""
    return "a template without a name" if template is None else f"template {template!r}"


def _cannot_wait(value: Any) -> TemplateRuntimeError:
    what = described(value)
    drop(value)
    return TemplateRuntimeError(
        f"{what} cannot be awaited{_place()}, because nothing that can await has called the"
        " template: write `await render_template(...)`, or `await template.render_async(...)`"
        " instead of `template.render(...)`."
    )


def _place() -> str:
    """The line of the innermost template that is being rendered."""
    frame = inspect.currentframe()
    while frame is not None:
        template = frame.f_globals.get("__jinja_template__")
        if template is not None:
            line = template.get_corresponding_lineno(frame.f_lineno)
            return f" in {named(template.name)}, line {line}"
        frame = frame.f_back
    return ""
