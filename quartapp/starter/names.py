"""Which names an application may have."""

import keyword
import sys
from importlib.util import find_spec

_TAKEN = frozenset(
    {
        *("app", "instance", "migrations", "quartapp", "test", "tests"),
        *("conftest", "test_errors", "test_notes"),
    }
)
"""Files and folders beside the package, its tests, and names that would hide what it imports."""


def fault_of(name: str) -> str:
    """Why an application cannot have this name, as a sentence; "" if it can."""
    if not (name.isascii() and name.isidentifier()) or name.startswith("_"):
        return (
            f"{name!r} cannot be the name of a Python package: use letters, digits and underscores,"
            " beginning with a letter."
        )
    if keyword.iskeyword(name):
        return f"{name!r} is a keyword of Python."
    if name.lower() in _TAKEN:
        return f"{name!r} is the name of something that the application needs itself."
    if name in sys.stdlib_module_names:
        return f"{name!r} is a module of Python, which the application would hide."
    # In lower case too: some file systems do not distinguish them.
    if find_spec(name) is not None or find_spec(name.lower()) is not None:
        return f"{name!r} is an installed module, which the application would hide."
    return ""
