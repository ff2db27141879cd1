"""Warns of code that blocks the event loop, while it does so: nothing else is served meanwhile."""

import asyncio
import logging
import sys
import threading
from collections.abc import Callable
from time import monotonic
from types import FrameType

LIMIT = 0.5
"""Seconds for which the loop may be blocked."""

_BEAT = 0.1


class Watchdog:
    """Watches the loop in which `start` is called, from a thread, until `stop`.

    `is_library` says of a file whether it is not the developer's own.
    """

    def __init__(self, logger: logging.Logger, is_library: Callable[[str], bool]) -> None:
        self._logger = logger
        self._is_library = is_library
        self._stopped = threading.Event()
        self._beat_at = 0.0

    async def start(self) -> None:
        self._stopped.clear()
        loop = asyncio.get_running_loop()

        def beat() -> None:
            self._beat_at = monotonic()
            if not self._stopped.is_set():
                loop.call_later(_BEAT, beat)

        beat()
        watched = threading.get_ident()
        threading.Thread(target=self._watch, args=(watched,), daemon=True, name="watchdog").start()

    async def stop(self) -> None:
        self._stopped.set()

    def _watch(self, watched: int) -> None:
        warned_of = 0.0
        while not self._stopped.wait(_BEAT):
            beat_at = self._beat_at
            if beat_at == warned_of or monotonic() - beat_at < LIMIT:
                continue
            warned_of = beat_at
            where = self._where(sys._current_frames().get(watched))
            if where and beat_at == self._beat_at:  # otherwise it has just gone on
                self._logger.warning(
                    "The event loop is blocked%s: no other request is served meanwhile. Await "
                    "what takes long, or call it with asyncio.to_thread.",
                    where,
                )

    def _where(self, frame: FrameType | None) -> str:
        """The innermost line of the developer's; "" if the loop only waits for something to do."""
        if frame is None or frame.f_globals.get("__name__") == "selectors":
            return ""
        while frame is not None:
            code = frame.f_code
            if not self._is_library(code.co_filename):
                return f" in {code.co_qualname}, {code.co_filename}, line {frame.f_lineno}"
            frame = frame.f_back
        return " by code of a library"
