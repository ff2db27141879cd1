"""The turns of synchronous functions to run: a limited number at the same time."""

import asyncio
import threading
from collections import deque
from typing import Any

RELEASED: Any = object()
"""The result of a wait that was released."""


class Wait(asyncio.Future[Any]):
    """What a task has to wait for even if it is cancelled: its thread, or a turn to go on in it.

    The CancelledError arrives together with the result. The application is notified of it, because
    while it stops, and only then, it releases the task.
    """

    def __init__(self, app: Any) -> None:
        super().__init__()
        self._app = app

    def cancel(self, msg: Any = None) -> bool:
        """Refuse."""
        note = getattr(self._app, "note_cancelled_wait", None)
        if note is not None:
            note(self)
        return False

    def release(self) -> None:
        """Let the task end, whatever the function in its thread does."""
        if not self.done():
            self.set_result(RELEASED)

    async def outcome(self) -> tuple[Any, asyncio.CancelledError | None]:
        """The result, and the CancelledError that arrived with it."""
        cancelled = None
        while True:
            try:
                return await self, cancelled
            except asyncio.CancelledError as raised:
                cancelled = raised
                if self.done():
                    return self.result(), cancelled


class Turns:
    """The turns in one event loop.

    A function that waits for an awaitable has no turn, and neither has a thread between two
    functions. Functions that wait for each other can therefore not use up all turns. Tasks that
    hold a thread have precedence, so that few threads are held; otherwise the first come goes
    first.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._taken = 0
        self._holders: deque[asyncio.Future[Any]] = deque()
        self._others: deque[asyncio.Future[Any]] = deque()

    def take(self, most: int) -> bool:
        """Take a turn if fewer than *most* are taken."""
        if self._taken >= most:
            return False
        self._taken += 1
        return True

    async def wait(self, *, holds_thread: bool) -> None:
        """Wait for a turn. When this is cancelled, there is none."""
        queue = self._holders if holds_thread else self._others
        turn: asyncio.Future[Any] = asyncio.Future()
        queue.append(turn)
        try:
            await turn
        except BaseException:
            self._withdraw(turn, queue)
            raise

    async def wait_to_go_on(self, turn: Wait) -> tuple[Any, asyncio.CancelledError | None]:
        """Wait for *turn*, even when this is cancelled; returns its outcome."""
        self._holders.append(turn)
        try:
            return await turn.outcome()
        except BaseException:  # the coroutine is being closed
            self._withdraw(turn, self._holders)
            raise

    def _withdraw(self, turn: asyncio.Future[Any], queue: deque[asyncio.Future[Any]]) -> None:
        if turn in queue:
            queue.remove(turn)
        elif not turn.cancelled() and turn.result() is not RELEASED:
            self.give_back()

    def give_back(self) -> None:
        """Pass a turn on."""
        for queue in (self._holders, self._others):
            while queue:
                turn = queue.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._taken -= 1


class _PerThread(threading.local):
    turns: Turns | None = None


_per_thread = _PerThread()


def current_turns() -> Turns:
    """The turns in the loop that runs in this thread."""
    loop = asyncio.get_running_loop()
    turns = _per_thread.turns
    if turns is None or turns.loop is not loop:
        turns = _per_thread.turns = Turns(loop)
    return turns
