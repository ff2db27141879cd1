"""Hashing is bounded, gives way to requests, and does not reveal which names exist."""

import asyncio
import os
import sys
import threading

import pytest
from werkzeug.security import generate_password_hash

from quartapp.microblog import passwords
from quartapp.microblog.exceptions import ServerBusyError
from quartapp.microblog.passwords import PasswordHasher


async def test_a_login_of_nobody_is_checked_like_one_of_somebody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The hash for unknown names is a constant, and Werkzeug may change its method."""
    checked = []

    def check(password_hash: str, _password: str) -> bool:
        checked.append(password_hash)
        return True

    monkeypatch.setattr(passwords, "check_password_hash", check)
    hasher = PasswordHasher(1, 1)
    somebody = generate_password_hash("cat")
    assert await hasher.is_right(somebody, "cat") is True
    assert await hasher.is_right(None, "cat") is False
    await hasher.close()
    (method, salt, digest), others = (each.split("$") for each in checked)
    assert [method, len(salt), len(digest)] == [others[0], len(others[1]), len(others[2])]


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
