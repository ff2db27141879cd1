"""Values as text: bounded, whatever their repr does, and with secrets hidden until asked for."""

import re
import reprlib
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from quartapp.debugger.page.text import bounded, clean

HIDDEN = "[hidden]"

IsSecret = Callable[[str], bool]
"""Whether what stands under this name is a secret."""

# A name and what stands between it and its value, in the text of any repr: password='x',
# 'token': b"y", ('key', 'z'), secret=w&
_NAME = re.compile(
    r"""(?P<quote>['"])(?P<quoted>[^\W\d][\w.-]*)(?P=quote)\s*[=:,]\s*
      | (?P<bare>[^\W\d][\w.-]*)\s*[=:]\s*""",
    re.VERBOSE,
)
_VALUE = re.compile(
    r"""b?'(?:\\.|[^'\\])*'?|b?"(?:\\.|[^"\\])*"?
      | (?:(?:Bearer|Basic|Token)\s+)?[^\s,)}\]>&'"]+""",
    re.VERBOSE,
)


def show(value: object, limit: int = 20_000) -> str:
    """The repr of a value; what it raised where it is broken. Runs the value's own code."""
    return _Shown(limit, None).text(value)


class Locals:
    """The variables of a frame as text.

    A variable whose name is secret is hidden, and so is its value wherever else it stands; so
    are secret names inside of values (`{'password': ...}`, `User(token=...)`).
    """

    def __init__(self, variables: Mapping[str, Any], is_secret: IsSecret) -> None:
        self._variables = variables
        self._is_secret = is_secret
        self._hidden = sorted(
            {
                text
                for name, value in variables.items()
                if is_secret(name) and len(text := _bare(value)) >= 4
            },
            key=len,
            reverse=True,
        )

    def rows(self) -> list[tuple[str, str | None]]:
        """Names and texts, in the frame's order; None stands for what is hidden."""
        return [(name, self._text(name)) for name in self._variables]

    def reveal(self, name: str) -> str | None:
        """The text of one variable, nothing hidden; None if there is no such variable."""
        return show(self._variables[name]) if name in self._variables else None

    def _text(self, name: str) -> str | None:
        if self._is_secret(name):
            return None
        text = _Shown(2000, self._is_secret).text(self._variables[name])
        for secret in self._hidden:
            text = text.replace(secret, HIDDEN)
        return text


class _Shown(reprlib.Repr):
    """A repr that stops at a size, names what is broken and hides what is secret."""

    def __init__(self, limit: int, is_secret: IsSecret | None) -> None:
        super().__init__()
        self.limit = limit
        self.is_secret = is_secret
        self.maxlevel = 6
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = 100
        self.maxdeque = self.maxarray = 100
        self.maxstring = self.maxlong = self.maxother = limit

    def text(self, value: object) -> str:
        try:
            text = self.repr(value)
        except Exception as error:  # noqa: BLE001 reprlib calls methods of the value beside repr
            text = f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
        return bounded(clean(text), self.limit)

    def repr_instance(self, x: Any, level: int) -> str:
        try:
            text = repr(x)
        except Exception as error:  # noqa: BLE001 any object's repr, which may raise anything
            return f"<{type(x).__name__} whose repr raised {type(error).__name__}>"
        if self.is_secret is not None:
            text = hide_named(text[: 4 * self.limit], self.is_secret)
        return bounded(text, self.limit)

    def repr_str(self, x: str, level: int) -> str:
        return self.repr_instance(x[: 2 * self.limit], level)

    def repr_dict(self, x: dict[Any, Any], level: int) -> str:
        if level <= 0:
            return "{...}"
        parts = [
            f"{self.repr1(k, level - 1)}: {self._under(k, v, level)}"
            for k, v in islice(x.items(), self.maxdict)
        ]
        if len(x) > self.maxdict:
            parts.append(f"... {len(x) - self.maxdict} more")
        return "{" + ", ".join(parts) + "}"

    def _under(self, key: object, value: object, level: int) -> str:
        if self.is_secret is not None and isinstance(key, str) and self.is_secret(key):
            return HIDDEN
        return self.repr1(value, level - 1)


def hide_named(text: str, is_secret: IsSecret) -> str:
    """Replace what stands after a secret name (`password='x'`, `'token': 'y'`)."""
    parts: list[str] = []
    done = 0
    for name in _NAME.finditer(text):
        if name.start() < done or not is_secret(name["quoted"] or name["bare"]):
            continue
        if value := _VALUE.match(text, name.end()):
            parts += [text[done : name.end()], HIDDEN]
            done = value.end()
    return "".join([*parts, text[done:]])


def _bare(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""
