"""The variables of a frame as text, with secrets hidden until they are asked for."""

from collections.abc import Mapping
from typing import Any

from quartapp.debugger.page.values import BoundedRepr, show
from quartapp.redact.collect import SecretCollector
from quartapp.redact.introspection import as_name
from quartapp.redact.scrub import Scrubber
from quartapp.redact.secret_names import HIDDEN
from quartapp.redact.secret_patterns import assignments
from quartapp.redact.values import is_secret

LIMIT = 2000
"""Characters of one variable in the table."""


class Variables:
    """The variables of a frame.

    The value of a variable with a secret's name is hidden, here and wherever else its text is
    found. So are values under such names inside other values (`{'password': ...}`,
    `User(token=...)`).
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def rows(self) -> list[tuple[str, str | None]]:
        """Names and texts, in the frame's order; None stands for a hidden value."""
        secrets = SecretCollector()
        for name, value in self._values.items():
            # Only of variables: hiding all texts of, say, a session would hide half of the table.
            if isinstance(value, str | bytes):
                secrets.named(name, value)
        shown = _HidingRepr(LIMIT)
        texts = Scrubber(only=()).clean(
            [shown.text(value) for value in self._values.values()], secrets=secrets.secrets
        )
        return [
            (name, None if is_secret(name, value) else text)
            for (name, value), text in zip(self._values.items(), texts, strict=True)
        ]

    def reveal(self, name: str) -> str | None:
        """The text of one variable, with nothing hidden; None if there is no such variable."""
        return show(self._values[name]) if name in self._values else None


class _HidingRepr(BoundedRepr):
    """A repr in which values under secret names are hidden."""

    def own_repr(self, value: object) -> str:
        return assignments(super().own_repr(value), in_repr=True)

    def item(self, key: object, value: object, level: int) -> str:
        return HIDDEN if is_secret(as_name(key), value) else super().item(key, value, level)
