"""Make a failing specification as small as possible while it still fails."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

from tests.system.parity.specification import Scope, Spec

# Fields that are never reset: without them the rest has no meaning.
NAMES = ("scopes", "key", "on", "signal", "do", "what", "name")
Fails = Callable[[Spec], Awaitable[bool]]


async def shrink(spec: Spec, fails: Fails, attempts: int = 2000) -> Spec:
    """The smallest specification found by greedy removal; `spec` itself must fail.

    Each candidate is simpler than its predecessor, so the search ends. `attempts` bounds its time
    if a failure is slow to reproduce.
    """
    improved = True
    while improved and attempts > 0:
        improved = False
        for candidate in simpler(spec):
            attempts -= 1
            if await fails(candidate):
                spec, improved = candidate, True
                break
            if attempts <= 0:
                break
    return spec


def simpler(spec: Spec) -> Iterator[Spec]:
    """Copies of `spec` without one part; the largest parts are removed first."""
    for number in range(len(spec.scopes) - 1, 0, -1):
        yield replace(spec, scopes=without_scope(spec.scopes, number))
    yield from variants(spec)


def without_scope(scopes: tuple[Scope, ...], number: int) -> tuple[Scope, ...]:
    """Copies without one blueprint, whose inner blueprints move up to its parent."""
    kept = []
    for scope in scopes[:number] + scopes[number + 1 :]:
        parent = scopes[number].parent if scope.parent == number else scope.parent
        kept.append(replace(scope, parent=parent - 1 if parent > number else parent))
    return tuple(kept)


def variants(value: Any) -> Iterator[Any]:
    """The value with one field reset, or with one field made simpler, recursively."""
    for field in fields(value):
        current = getattr(value, field.name)
        if field.name not in NAMES and is_simpler(field.default, current):
            yield replace(value, **{field.name: field.default})
        if isinstance(current, tuple) and field.name != "methods":
            for simplified in tuples(current, keep=1 if field.name == "scopes" else 0):
                yield replace(value, **{field.name: simplified})
        elif is_dataclass(current):
            for simplified in variants(current):
                yield replace(value, **{field.name: simplified})


def is_simpler(default: Any, current: Any) -> bool:
    if isinstance(current, tuple) and len(default) > len(current):
        return False
    return bool(default != current)


def tuples(values: tuple[Any, ...], keep: int) -> Iterator[tuple[Any, ...]]:
    """The tuple without one of its members (the first `keep` stay), then with one made simpler."""
    if keep == 0:
        for number in range(len(values)):
            yield values[:number] + values[number + 1 :]
    for number, value in enumerate(values):
        if is_dataclass(value):
            for simplified in variants(value):
                yield (*values[:number], simplified, *values[number + 1 :])
