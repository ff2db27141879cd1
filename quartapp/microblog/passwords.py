"""Hashing passwords in a few threads with a short queue.

A scrypt hash takes a quarter of a second of processor time, by design. Without a bound a few dozen
clients that log in would keep all processors busy, and every other page would wait.
"""

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar, cast

from quart import Quart, current_app
from werkzeug.security import check_password_hash, generate_password_hash

from quartapp.microblog.config import PASSWORD_COST, Settings
from quartapp.microblog.exceptions import ServerBusyError
from quartapp.microblog.password_rules import password_fault
from quartapp.priority import give_way

T = TypeVar("T")

_BLOCK, _PARALLEL = 8, 3


class Scrypt(NamedTuple):
    """The parameters of a hash. It takes `n * r * p` steps and 128 * `n * r` bytes."""

    n: int
    r: int = _BLOCK
    p: int = _PARALLEL

    @property
    def method(self) -> str:
        """The method as Werkzeug writes it, which is the first part of a hash."""
        return f"scrypt:{self.n}:{self.r}:{self.p}"

    @property
    def nobody(self) -> str:
        """A hash that no password matches, and that takes as long to check as any other."""
        return f"{self.method}${'0' * 16}${'0' * 128}"

    @classmethod
    def of(cls, password_hash: str) -> "Scrypt | None":
        """The parameters of a hash; None for another method."""
        name, *numbers = password_hash.partition("$")[0].split(":")
        return cls(*map(int, numbers)) if name == "scrypt" and len(numbers) == 3 else None

    def is_stronger_than(self, other: "Scrypt | None") -> bool:
        """Whether this takes more memory or more time."""
        if other is None:
            return True
        return self.n * self.r > other.n * other.r or self._steps > other._steps

    @property
    def _steps(self) -> int:
        return self.n * self.r * self.p


def scrypt(cost: int = PASSWORD_COST) -> Scrypt:
    """The parameters with N=2^cost. The default is OWASP's choice of 32 MB (N=2^15, r=8, p=3)."""
    return Scrypt(2**cost)


def hash_now(password: str, parameters: Scrypt | None = None) -> str:
    """A salted scrypt hash. Blocks for a quarter of a second; use it only in commands."""
    return generate_password_hash(password, method=(parameters or scrypt()).method)


class PasswordHasher:
    """Hashes `threads` passwords at a time, with low priority; `queue` more may wait."""

    def __init__(self, threads: int, queue: int, parameters: Scrypt | None = None) -> None:
        self._executor = ThreadPoolExecutor(threads, "passwords", initializer=give_way)
        self._turns = asyncio.Semaphore(threads)
        self._most = threads + queue
        self._under_way = 0
        self._parameters = parameters or scrypt()

    async def hash(self, password: str) -> str:
        """A salted scrypt hash. Raises ServerBusyError."""
        return await self._run(lambda: hash_now(password, self._parameters))

    async def is_right(self, password_hash: str | None, password: str) -> bool:
        """Whether a password has this hash. Raises ServerBusyError.

        Without a hash (None) it takes as long as with one, so that the duration does not reveal
        which names exist.
        """
        right = await self._run(lambda: self._check(password_hash, password))
        return right and password_hash is not None

    def is_weak(self, password_hash: str) -> bool:
        """Whether a hash was computed with weaker parameters than the current ones."""
        return self._parameters.is_stronger_than(Scrypt.of(password_hash))

    def require_room(self) -> None:
        """Raise ServerBusyError if a hash requested now would be refused."""
        if self._under_way >= self._most:
            raise ServerBusyError

    async def close(self) -> None:
        """End the threads after their current hashes."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _check(self, password_hash: str | None, password: str) -> bool:
        right = check_password_hash(password_hash or self._parameters.nobody, password)
        if password_hash is not None:
            self._make_up(Scrypt.of(password_hash))
        return right

    def _make_up(self, used: Scrypt | None) -> None:
        """Spend the missing time: a hash with a smaller p, as old ones have, is checked faster."""
        n, r, p = self._parameters
        if used is not None and used[:2] == (n, r) and used.p < p:
            memory = 132 * n * r * p
            hashlib.scrypt(b"", salt=b"", n=n, r=r, p=p - used.p, maxmem=memory)

    async def _run(self, work: Callable[[], T]) -> T:
        self.require_room()
        self._under_way += 1
        try:
            async with self._turns:
                return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        finally:
            self._under_way -= 1


def init_app(app: Quart, settings: Settings) -> None:
    """Create the hasher of an application; its threads end when the application stops."""
    parameters = scrypt(settings.password_cost)
    hasher = PasswordHasher(settings.password_threads, settings.password_queue, parameters)
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
