"""Hashing is bounded, gives way to requests, and does not reveal which names exist."""

import asyncio
import hashlib
import os
import sys
import threading
from typing import Any

import pytest
from pydantic import ValidationError

from quartapp.microblog import passwords
from quartapp.microblog.config import Settings
from quartapp.microblog.exceptions import ServerBusyError
from quartapp.microblog.passwords import PasswordHasher, hash_now, scrypt

STRONG = scrypt(7)
OLD = STRONG._replace(p=1)


@pytest.mark.parametrize("stored", [hash_now("cat", STRONG), hash_now("cat", OLD), None])
async def test_every_login_takes_as_long(
    monkeypatch: pytest.MonkeyPatch, stored: str | None
) -> None:
    """Of somebody, of somebody with a hash of the version before, of nobody."""
    work = []
    compute = hashlib.scrypt

    def count(*arguments: Any, **numbers: Any) -> bytes:
        work.append(numbers["n"] * numbers["r"] * numbers["p"])
        return compute(*arguments, **numbers)

    monkeypatch.setattr(hashlib, "scrypt", count)
    hasher = PasswordHasher(1, 1, STRONG)
    for password in ("cat", "dog"):
        work.clear()
        assert await hasher.is_right(stored, password) is (stored is not None and password == "cat")
        assert sum(work) == 128 * 8 * 3
    await hasher.close()


def test_hashes_have_the_cost_that_owasp_asks_for() -> None:
    """Password Storage Cheat Sheet: with 32 MB N=2^15, r=8, p=3."""
    assert scrypt().method == "scrypt:32768:8:3"
    assert Settings(secret_key="0123456789abcdef" * 2).password_cost == 15
    with pytest.raises(ValidationError, match="expected 15 or more in production"):
        Settings(secret_key="0123456789abcdef" * 2, password_cost=14)


@pytest.mark.parametrize(
    ("password_hash", "is_weak"),
    [
        ("scrypt:32768:8:3$salt$digest", False),
        ("scrypt:65536:8:2$salt$digest", False),
        ("scrypt:32768:8:1$salt$digest", True),
        ("scrypt:16384:8:9$salt$digest", True),
        ("pbkdf2:sha256:1000000$salt$digest", True),
    ],
)
async def test_weaker_hashes_are_known(password_hash: str, is_weak: bool) -> None:
    hasher = PasswordHasher(1, 1)
    assert hasher.is_weak(password_hash) is is_weak
    await hasher.close()


class Slow:
    """Hashes that take until a test ends them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go_on = threading.Event()
        self.nice: list[int] = []
        monkeypatch.setattr(passwords, "check_password_hash", self.check)

    def check(self, _hash: str, _password: str) -> bool:
        self.nice.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        self.go_on.wait(60)
        return False


async def test_more_than_threads_and_queue_are_refused_and_a_cancelled_one_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow, hasher = Slow(monkeypatch), PasswordHasher(1, 1)
    first, second = (asyncio.create_task(hasher.is_right("", "cat")) for _ in range(2))
    await asyncio.sleep(0)
    with pytest.raises(ServerBusyError):
        await hasher.is_right("", "cat")
    second.cancel()
    await asyncio.wait([second])
    third = asyncio.create_task(hasher.is_right("", "cat"))
    await asyncio.sleep(0)
    slow.go_on.set()
    assert [await first, await third] == [False, False]
    await hasher.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of threads")
async def test_hashing_gives_way_to_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(monkeypatch)
    hasher = PasswordHasher(1, 1)
    slow.go_on.set()
    await hasher.is_right("", "cat")
    assert slow.nice[0] > os.getpriority(os.PRIO_PROCESS, 0)
    await hasher.close()
