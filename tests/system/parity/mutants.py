"""Applications in which one rule is broken on purpose; the differential run must detect each.

A mutant is a subclass of `App`, and the overrides of a specification are in a subclass of the
mutant. If these would hide the mutation, the mutant defines `__getattribute__`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from quartapp.flasklike import App

MUTANTS: dict[str, type[App]] = {}


def mutant(rule: str) -> Callable[[type[App]], type[App]]:
    """Add the class to the table, under the rule that it breaks."""

    def enter(cls: type[App]) -> type[App]:
        MUTANTS[rule] = cls
        return cls

    return enter


@contextmanager
def muted(signal: Any) -> Iterator[None]:
    receivers, signal.receivers = signal.receivers, {}
    try:
        yield
    finally:
        signal.receivers = receivers


@contextmanager
def reversed_lists(functions: Mapping[Any, list[Any]]) -> Iterator[None]:
    for registered in functions.values():
        registered.reverse()
    try:
        yield
    finally:
        for registered in functions.values():
            registered.reverse()
