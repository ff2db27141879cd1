"""Whether a username exists cannot be found out by the time of a login."""

import pytest
from werkzeug.security import generate_password_hash

from quartapp.microblog import identity


async def test_a_login_of_nobody_is_checked_like_one_of_somebody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The hash for unknown names is a constant, and Werkzeug may change its method."""
    checked = []

    def check(password_hash: str, _password: str) -> bool:
        checked.append(password_hash)
        return True

    monkeypatch.setattr(identity, "check_password_hash", check)
    somebody = generate_password_hash("cat")
    assert await identity.is_password_right(somebody, "cat") is True
    assert await identity.is_password_right(None, "cat") is False
    (method, salt, digest), others = (each.split("$") for each in checked)
    assert [method, len(salt), len(digest)] == [others[0], len(others[1]), len(others[2])]
