"""The stacks of all threads and tasks of this process, for the log: where does it hang?

A stack has files, lines and names of functions, but neither values nor lines of source, so that
nothing secret can be in it.
"""

import asyncio
import logging
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from time import monotonic
from types import FrameType
from typing import Any

LONGEST = 32_768
"""The most characters of a description: the stacks that most tasks have in common come first."""

DEEPEST = 40
"""The most frames of a stack: the innermost ones."""

_PAUSE = 1.0
"""Seconds in which a second signal is ignored: Ctrl-\\ in a terminal reaches a worker twice."""


def write_at_signal(app: Any, loop: asyncio.AbstractEventLoop | None) -> None:
    """Log the stacks at each SIGQUIT, with the logger of the application. Call it in the main
    thread.

    It works while the loop hangs in code of Python, which it interrupts; the logging itself is
    done by a thread, as the interrupted code may own locks of logging.
    """
    logger = getattr(app, "logger", None) or logging.getLogger(__name__)
    last = -_PAUSE

    def write() -> None:
        logger.warning("The stacks of process %d, for SIGQUIT:\n%s", os.getpid(), describe(loop))

    def begin(_number: int, _frame: FrameType | None) -> None:
        nonlocal last
        if monotonic() - last >= _PAUSE:
            last = monotonic()
            threading.Thread(target=write, name="quartapp stacks", daemon=True).start()

    signal.signal(signal.SIGQUIT, begin)


def describe(loop: asyncio.AbstractEventLoop | None) -> str:
    """The stacks of all other threads and of the tasks of a loop, the innermost frame last.

    May be called in any thread. Equal stacks are one, with their number.
    """
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    threads = [
        f"Thread {names.get(ident, 'unknown to Python')}:\n{_text(_of_thread(frame))}"
        for ident, frame in sys._current_frames().items()
        if ident != threading.get_ident()
    ]
    tasks = asyncio.all_tasks(loop) if loop is not None else set()
    waiting = Counter(_text(_of_task(task)) for task in tasks)
    stacks = [
        f"{count} task{'s' * (count > 1)}:\n{stack}" for stack, count in waiting.most_common()
    ]
    text = "\n".join([*threads, *stacks])
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}\n[the rest is cut off]"


def _text(frames: Iterable[tuple[str, int, str]]) -> str:
    lines = [f"  {file}:{line} in {name}" for file, line, name in frames]
    cut = [f"  [{len(lines) - DEEPEST} more]"] if len(lines) > DEEPEST else []
    return "\n".join([*cut, *lines[-DEEPEST:]])


def _of_thread(frame: FrameType | None) -> list[tuple[str, int, str]]:
    found = []
    while frame is not None:
        found.append(_place(frame))
        frame = frame.f_back
    return found[::-1]


def _of_task(task: asyncio.Task[Any]) -> Iterator[tuple[str, int, str]]:
    """Where a task waits: each coroutine, and what it awaits.

    `Task.get_stack` has only the outermost coroutine of a task that waits.
    """
    awaited: Any = task.get_coro()
    while awaited is not None:
        kind = next((each for each in ("cr", "gi", "ag") if hasattr(awaited, f"{each}_frame")), "")
        if not kind:
            return
        frame = getattr(awaited, f"{kind}_frame")
        if frame is not None:
            yield _place(frame)
        awaited = getattr(awaited, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")


def _place(frame: FrameType) -> tuple[str, int, str]:
    return frame.f_code.co_filename, frame.f_lineno or 0, frame.f_code.co_qualname
