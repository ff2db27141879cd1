"""What holds up the event loop, found while it does so.

A timer of the loop beats a hundred times a second. A thread sees the beats stop, and looks at what
the loop's thread is doing. Time does not count in which that thread was ready but got no processor,
in which Python collected garbage, and in which a module was imported for the first time.
"""

import asyncio
import gc
import selectors
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from types import FrameType
from typing import Any

from quartapp.testing.strictness.places import Place, is_of_a_library

LIMIT = 0.1
"""Seconds for which a test may hold up its event loop."""

_BEAT = 0.01
_TICK = 0.02
_LATE = 0.03
_LINES = 6


class Watchdog(threading.Thread):
    """Watches one event loop at a time."""

    def __init__(self) -> None:
        super().__init__(name="quartapp-watchdog", daemon=True)
        self.found: list[str] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._beat_at = 0.0
        self._seen: float | None = None
        self._begun = 0.0
        self._spent = self._before = (0.0, 0.0, 0.0)
        self._looked_at = self._waited = self._lost = 0.0
        self._reported = 0.0
        self._collected = 0.0
        self._collecting: float | None = None
        gc.callbacks.append(self._note_collection)

    @contextmanager
    def watching(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Watch the running loop until the end of the block."""
        if not self.is_alive():
            self.start()
        handle: Any = None

        def beat() -> None:
            nonlocal handle
            self._beat_at = monotonic()
            handle = loop.call_later(_BEAT, beat)

        beat()
        self._thread, self._seen = threading.current_thread(), None
        self._looked_at = monotonic()
        self._spent = self._spend(self._looked_at, self._thread)
        self._loop = loop
        self._wake.set()
        try:
            yield
        finally:
            self._wake.clear()
            self._loop = None
            handle.cancel()

    def run(self) -> None:
        """Look at the loop every 20 ms, as long as one is watched."""
        while True:
            self._wake.wait()
            sleep(_TICK)
            loop, thread = self._loop, self._thread
            if loop is not None and thread is not None:
                self._look(loop, thread)

    def _look(self, loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
        now = monotonic()
        if not loop.is_running():
            self._seen = None
            return
        if self._seen is None:
            self._seen = now
        began = max(self._seen, self._beat_at)
        if began != self._begun:
            # From the look before this one: this one may have been late itself.
            self._begun, self._before = began, self._spent
        self._spent = self._spend(now, thread)
        computed, lost, collected = (
            now - before for now, before in zip(self._spent, self._before, strict=True)
        )
        # Time counts in which the thread computed, or slept while it could have computed.
        lasted = max(computed, now - began - lost) - collected
        if lasted <= LIMIT or self._reported == began:
            return
        frame = sys._current_frames().get(thread.ident or 0)
        stack = frames_of(frame)
        if self._beat_at > began or self._loop is not loop:
            return  # it has just gone on, or ended
        if _is_idle(stack) or any(each.f_code.co_filename in _EXEMPT for each in stack):
            self._seen = now
            return
        self._reported = began
        self.found.append(_message(stack))

    def _spend(self, now: float, thread: threading.Thread) -> tuple[float, float, float]:
        """Seconds, all in all, that the thread had a processor, that it or this thread was kept
        from one, and that went into garbage.

        While this thread is late, the other may wait for the lock of the interpreter, which a
        thread without a processor holds.
        """
        computed, waited = _scheduled(thread)
        late = now - self._looked_at - _LATE
        self._lost += max(0.0, late, waited - self._waited)
        self._looked_at, self._waited = now, waited
        collecting = 0.0 if self._collecting is None else now - self._collecting
        return computed, self._lost, self._collected + collecting

    def _note_collection(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._collecting = monotonic()
        elif self._collecting is not None:
            self._collected += monotonic() - self._collecting
            self._collecting = None


_EXEMPT = {"<frozen importlib._bootstrap>", threading.__file__.replace("threading.py", "bdb.py")}
"""An import, and a debugger's prompt."""


def _is_idle(stack: list[FrameType]) -> bool:
    """Whether the loop waits for events or a new thread: both are late on a busy machine."""
    if any(
        each.f_code.co_filename == threading.__file__ and each.f_code.co_name == "start"
        for each in stack
    ):
        return True
    inner = [each for each in stack[:2] if each.f_code.co_filename != selectors.__file__]
    return not inner or inner[0].f_code.co_filename in _LOOPS


_LOOPS = {asyncio.base_events.__file__, asyncio.runners.__file__}


def frames_of(frame: FrameType | None) -> list[FrameType]:
    """The stack of another thread, innermost first."""
    found = []
    while frame is not None:
        found.append(frame)
        frame = frame.f_back
    return found


def _message(stack: list[FrameType]) -> str:
    own = [each for each in stack if not is_of_a_library(each.f_code.co_filename)]
    named = (own or stack)[0]
    lines = [str(Place(each.f_code, each.f_lineno)) for each in stack[:_LINES]]
    where = Place(named.f_code, named.f_lineno)
    stood = "\n      ".join(lines)
    return (
        f"{named.f_code.co_qualname} held up the event loop for more than {LIMIT * 1000:.0f} ms, "
        f"at {where}. Await what waits, and do what computes in a thread: `asyncio.to_thread`. It "
        f"was in\n      {stood}"
    )


def _scheduled(thread: threading.Thread) -> tuple[float, float]:
    """Seconds that a thread has run, and that it was ready while others had the processors."""
    with suppress(OSError, ValueError):
        path = Path(f"/proc/self/task/{thread.native_id}/schedstat")
        ran, waited, _ = map(int, path.read_text().split())
        return ran / 1e9, waited / 1e9
    return 0.0, 0.0
