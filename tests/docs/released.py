"""`python -m tests.docs.released` records the public names of this version: a step of a release."""

import importlib
import warnings
from pathlib import Path

import quartapp
from tests.docs.test_public_names import EXPORTS, names_in

RECORD = Path(__file__).with_name("released_names.txt")


def offered() -> set[str]:
    """The names that docs/public-names.md lists and that can be imported."""
    listed = {f"{module}.{name}" for module, names in EXPORTS for name in names_in(names)}
    return {name for name in listed if exists(name)}


def exists(name: str) -> bool:
    """Whether it can be imported, with a warning or without."""
    module, _, attribute = name.rpartition(".")
    with warnings.catch_warnings(action="ignore"):
        try:
            return hasattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError:
            return False


def write() -> None:
    """Replace the record of the last release."""
    lines = [f"# {quartapp.__version__}", *sorted(offered())]
    RECORD.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    write()
