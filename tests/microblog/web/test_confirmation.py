"""The password is asked for again before some changes."""

import pytest
from quart import request

from quartapp.flasklike import App
from quartapp.microblog import credentials
from quartapp.microblog.database import db
from quartapp.microblog.models.user import PASSWORD_LENGTH
from quartapp.microblog.passwords import is_password_right
from quartapp.microblog.testing import PASSWORD, LogIn
from quartapp.microblog.web.confirmation import is_own_password


async def test_only_the_password_of_this_person_confirms(
    app: App, log_in: LogIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_hand = []

    async def look(password_hash: str, password: str) -> bool:
        in_hand.append(db.session.in_transaction())
        return await is_password_right(password_hash, password)

    async def view() -> str:
        return str(await is_own_password((await request.form)["password"]))

    monkeypatch.setattr(credentials, "is_password_right", look)
    app.add_url_rule("/confirm", view_func=view, methods=["POST"])
    susan = await log_in("susan")
    for password, answer in ((PASSWORD, "True"), ("dog", "False"), ("", "False")):
        sent = await susan.post("/confirm", form={"password": password})
        assert await sent.get_data(as_text=True) == answer
    assert in_hand == [False] * 3  # nobody waits for a hash with a connection in hand
    sent = await susan.post("/confirm", form={"password": "x" * (PASSWORD_LENGTH + 1)})
    assert await sent.get_data(as_text=True) == "False"
    assert len(in_hand) == 3
    stranger = await app.test_client().post("/confirm", form={"password": PASSWORD})
    assert stranger.status_code == 302
