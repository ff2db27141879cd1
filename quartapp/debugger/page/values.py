"""Values as text of bounded length, whatever their repr does."""

import reprlib
from itertools import islice
from typing import Any

from quartapp.debugger.page.text import bounded, clean


def show(value: object, limit: int = 20_000) -> str:
    """The repr of a value; if that raises, what it raised. Runs the value's own code."""
    return BoundedRepr(limit).text(value)


class BoundedRepr(reprlib.Repr):
    """A repr of at most about `limit` characters, without control characters. Never raises."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit
        self.maxlevel = 6
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = 100
        self.maxdeque = self.maxarray = 100
        self.maxstring = self.maxlong = self.maxother = limit

    def text(self, value: object) -> str:
        try:
            text = self.repr(value)
        except Exception as error:  # noqa: BLE001 reprlib calls other methods of a value too
            text = _broken(value, error)
        return bounded(clean(text), self.limit)

    def own_repr(self, value: object) -> str:
        """What the value's own code says. May raise anything."""
        return repr(value)[: 4 * self.limit]

    def item(self, key: object, value: object, level: int) -> str:
        """The value that a dictionary has under a key."""
        return self.repr1(value, level)

    def repr_instance(self, x: Any, level: int) -> str:
        try:
            text = self.own_repr(x)
        except Exception as error:  # noqa: BLE001 any object's repr, which may raise anything
            return _broken(x, error)
        return bounded(text, self.limit)

    def repr_str(self, x: str, level: int) -> str:
        return self.repr_instance(x[: 2 * self.limit], level)

    def repr_dict(self, x: dict[Any, Any], level: int) -> str:
        if level <= 0:
            return "{...}"
        # In the dictionary's order, where reprlib would sort.
        parts = [
            f"{self.repr1(key, level - 1)}: {self.item(key, value, level - 1)}"
            for key, value in islice(x.items(), self.maxdict)
        ]
        if len(x) > self.maxdict:
            parts.append(f"... {len(x) - self.maxdict} more")
        return "{" + ", ".join(parts) + "}"


def _broken(value: object, error: Exception) -> str:
    return f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
