"""One test under strictness: what it has at its start, and what is wrong at its end."""

import asyncio
import sys
import warnings
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from quartapp.testing.strictness.blocks import Watchdog
from quartapp.testing.strictness.errors import Errors
from quartapp.testing.strictness.leaks import (
    Held,
    Origins,
    leaked_connections,
    leaked_descriptors,
    leaked_tasks,
    leaked_threads,
)
from quartapp.testing.strictness.places import is_of_a_library, short

KINDS = ("tasks", "threads", "connections", "files", "coroutines", "blocks", "errors")

_ORIGINS = 5
"""Frames that Python notes for each coroutine."""


class Watch:
    """Watches the strict tests of a session, one at a time."""

    def __init__(self) -> None:
        self.origins = Origins()
        self.errors = Errors()
        self._watchdog = Watchdog()
        self._held = Held()
        self._kinds: frozenset[str] = frozenset()
        self._faults: list[tuple[str, str]] = []
        self._tasks: set[Any] = set()
        self._watch_coroutines()

    def begin(self, kinds: frozenset[str]) -> None:
        """Begin a test that is watched for these kinds of faults."""
        self._kinds = kinds
        self._faults = []
        self._watchdog.found.clear()
        self.origins.begin()
        self.errors.begin()
        self._held = Held()
        if "coroutines" in kinds:
            sys.set_coroutine_origin_tracking_depth(_ORIGINS)

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """What is made in the block outlives the test: it is a fixture's of a wider scope."""
        before, tasks = Held(), self._loop_tasks()
        yield
        self._held.keep(before, self.origins)
        self._tasks |= self._loop_tasks() - tasks

    @asynccontextmanager
    async def loop(self) -> AsyncIterator[None]:
        """Watch the running event loop and its tasks until the end of the block."""
        loop = asyncio.get_running_loop()
        self._tasks = asyncio.all_tasks()
        self._running = loop
        with self._watchdog.watching(loop), self.origins.of_tasks(loop):
            yield
            for text in await leaked_tasks(self._tasks, self.origins):
                self._faults.append(("tasks", text))

    def end(self, looked_at_errors: bool) -> list[str]:
        """What is wrong with the test: sentences."""
        self.origins.is_active = False
        self.errors.end()
        sys.set_coroutine_origin_tracking_depth(0)
        faults = self._faults
        faults += [("connections", text) for text in leaked_connections(self.origins)]
        faults += [("threads", text) for text in leaked_threads(self._held, self.origins)]
        faults += leaked_descriptors(self._held, self.origins)
        faults += [("blocks", text) for text in self._watchdog.found]
        if not looked_at_errors:
            faults += [
                (
                    "errors",
                    f"{text}. Look at it: at the response's status, or with the fixture "
                    "`captured_reports` or `caplog`.",
                )
                for text in self.errors.unseen
            ]
        kinds, self._kinds = self._kinds, frozenset()
        return [f"{kind}: {text}" for kind, text in faults if kind in kinds]

    def _loop_tasks(self) -> set[Any]:
        loop = getattr(self, "_running", None)
        return asyncio.all_tasks(loop) if loop is not None and not loop.is_closed() else set()

    def _watch_coroutines(self) -> None:
        # Python calls it by this name when a coroutine is deleted that was never awaited.
        module: Any = warnings
        warn = module._warn_unawaited_coroutine

        def unawaited(coroutine: Any) -> None:
            if self._kinds:
                self._faults.append(("coroutines", _unawaited(coroutine)))
            warn(coroutine)

        module._warn_unawaited_coroutine = unawaited


def _unawaited(coroutine: Any) -> str:
    name = getattr(coroutine, "__qualname__", repr(coroutine))
    origin: list[tuple[str, int, str]] = list(getattr(coroutine, "cr_origin", None) or ())
    own = [each for each in origin if not is_of_a_library(each[0])] or origin
    where = f", called at {short(own[0][0])}:{own[0][1]} in {own[0][2]}" if own else ""
    return f"{name}() was never awaited{where}. Write `await` before it."


def kinds_of(item: pytest.Item, is_strict: bool) -> frozenset[str]:
    """What a test is watched for. Fails it if a marker names something unknown."""
    strict, lenient = item.get_closest_marker("strict"), list(item.iter_markers("lenient"))
    named = [kind for marker in (strict, *lenient) if marker for kind in marker.args]
    if unknown := [kind for kind in named if kind not in KINDS]:
        pytest.fail(
            f"unknown {', '.join(map(repr, unknown))}: expected some of {', '.join(KINDS)}",
            pytrace=False,
        )
    if not (strict or is_strict):
        return frozenset()
    kinds = set(strict.args if strict and strict.args else KINDS)
    for marker in lenient:
        kinds -= set(marker.args or KINDS)
    return frozenset(kinds)


def watched(watch: Watch, item: pytest.Item) -> Generator[None, Any, Any]:
    """Around the teardown of a test: fails it if something is wrong."""
    looked = set(getattr(item, "funcargs", ()))
    try:
        result = yield
    finally:
        # What only they refer to is garbage by now; pytest empties them after this.
        getattr(item, "funcargs", {}).clear()
        names = {*getattr(item, "fixturenames", ()), *looked}
        faults = watch.end(bool(names & {"captured_reports", "caplog"}))
    if faults:
        pytest.fail("strictness:\n  " + "\n  ".join(faults), pytrace=False)
    return result
