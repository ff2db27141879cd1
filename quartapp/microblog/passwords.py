"""Hashing passwords, in a few threads with a short queue.

A scrypt hash takes a tenth of a second of a processor, by design. Without a bound a few dozen
clients that log in keep all processors busy, and every other page waits for them.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

from quart import Quart, current_app
from werkzeug.security import check_password_hash, generate_password_hash

from quartapp.microblog.config import Settings
from quartapp.microblog.exceptions import ServerBusyError
from quartapp.microblog.password_rules import password_fault
from quartapp.priority import give_way

T = TypeVar("T")

# The hash of a password that nobody has, computed like the others. It is a constant because hashing
# takes a tenth of a second at every start. It logs nobody in.
_NOBODY = (
    "scrypt:32768:8:1$iuqBnm226zAdx7uP$"
    "5d0e51cd5490d52330151fc1ba3c61d5db928b3015086623c8cdeefd7e236f9a"
    "7988ebb4c0e15dcd6f737a52839291fe9b1686a6c87407aca569ef64b50b7026"
)


class PasswordHasher:
    """`threads` passwords at a time; `queue` more may wait. The threads have a low priority."""

    def __init__(self, threads: int, queue: int) -> None:
        self._executor = ThreadPoolExecutor(threads, "passwords", initializer=give_way)
        self._turns = asyncio.Semaphore(threads)
        self._most = threads + queue
        self._under_way = 0

    async def hash(self, password: str) -> str:
        """A salted scrypt hash. Raises ServerBusyError."""
        return await self._run(lambda: generate_password_hash(password))

    async def is_right(self, password_hash: str | None, password: str) -> bool:
        """Whether a password has this hash. Raises ServerBusyError.

        Without a hash (None) it takes as long as with one, so that the time does not reveal which
        names exist.
        """
        right = await self._run(lambda: check_password_hash(password_hash or _NOBODY, password))
        return right and password_hash is not None

    def require_room(self) -> None:
        """Raise ServerBusyError if a hash that is asked for now would be refused."""
        if self._under_way >= self._most:
            raise ServerBusyError

    async def close(self) -> None:
        """End the threads, after the hashes under way."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        self.require_room()
        self._under_way += 1
        try:
            async with self._turns:
                return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        finally:
            self._under_way -= 1


def init_app(app: Quart, settings: Settings) -> None:
    """Give an application its hasher, and end its threads when the application stops."""
    hasher = PasswordHasher(settings.password_threads, settings.password_queue)
    app.extensions["passwords"] = hasher
    app.after_serving(hasher.close)


def hasher() -> PasswordHasher:
    """The hasher of the current application."""
    return cast(PasswordHasher, current_app.extensions["passwords"])


async def hash_password(password: str) -> str:
    """`PasswordHasher.hash` of the current application."""
    return await hasher().hash(password)


async def is_password_right(password_hash: str | None, password: str) -> bool:
    """`PasswordHasher.is_right` of the current application."""
    return await hasher().is_right(password_hash, password)


async def find_password_fault(password: str, *names: str) -> str | None:
    """`password_rules.password_fault`, in a thread: its first call reads the list."""
    return await asyncio.to_thread(password_fault, password, *names)
