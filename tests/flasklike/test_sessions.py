from typing import Any

import flask
import pytest
from itsdangerous import BadSignature
from quart import flash, session

from quartapp.flasklike import App, get_flashed_messages, render_template_string


async def test_writes_the_cookie_that_flask_writes_and_reads_it() -> None:
    oracle = flask.Flask("oracle")
    app = App("subject")
    oracle.secret_key = app.secret_key = "secret"

    def put() -> str:
        flask.session.update(b=[1], a="é")
        flask.session.permanent = True
        return ""

    oracle.add_url_rule("/", view_func=put)

    @app.get("/")
    async def read() -> Any:
        return dict(session)

    @app.get("/put")
    async def write() -> str:
        session.update(b=[1], a="é")
        session.permanent = True
        return ""

    theirs = oracle.test_client().get("/").headers["Set-Cookie"].split(";")[0]
    ours = (await app.test_client().get("/put")).headers["Set-Cookie"].split(";")[0]
    assert ours.split(".")[0] == theirs.split(".")[0]
    response = await app.test_client().get("/", headers={"Cookie": theirs})
    assert await response.get_json() == {"_permanent": True, "a": "é", "b": [1]}


async def test_a_new_key_is_used_at_once_and_the_old_one_as_a_fallback() -> None:
    app = App("keys")
    app.secret_key = "old"

    @app.get("/")
    async def count() -> str:
        session["n"] = session.get("n", 0) + 1
        return str(session["n"])

    client = app.test_client()
    await client.get("/")
    app.secret_key = "new"
    app.config["SECRET_KEY_FALLBACKS"] = ["old"]
    assert await (await client.get("/")).get_data() == b"2"
    app.config["SECRET_KEY_FALLBACKS"] = None
    assert await (await client.get("/")).get_data() == b"3"
    app.secret_key = "unknown"
    assert await (await client.get("/")).get_data() == b"1"


OLD_KEYS: list[Any] = [None, [], ["old"], ["older", "old"], ("old",), [b"old"]]


@pytest.mark.parametrize("fallbacks", OLD_KEYS)
async def test_keys_are_those_of_flask(fallbacks: Any) -> None:
    oracle, app = flask.Flask("oracle"), App("subject")
    for each in (oracle, app):
        each.config.update(SECRET_KEY="new", SECRET_KEY_FALLBACKS=fallbacks)
    theirs, ours = signer_of(oracle), signer_of(app)
    signed = [ours.dumps({"n": 1}), theirs.dumps({"n": 1})]
    for key in ("new", "old", "older", "o", "unknown"):
        other = flask.Flask("other")
        other.secret_key = key
        signed.append(signer_of(other).dumps({"n": 1}))
    assert [read_by(ours, each) for each in signed] == [read_by(theirs, each) for each in signed]
    only_new = App("only new")
    only_new.secret_key = "new"
    assert read_by(signer_of(only_new), signed[0])


def signer_of(app: Any) -> Any:
    return app.session_interface.get_signing_serializer(app)


def read_by(signer: Any, cookie: str) -> bool:
    try:
        return bool(signer.loads(cookie))
    except BadSignature:
        return False


async def test_without_a_key_writing_fails() -> None:
    app = App("keyless")
    app.testing = True

    @app.get("/")
    async def write() -> str:
        session["a"] = 1
        return ""

    with pytest.raises(RuntimeError, match="no secret key was set"):
        await app.test_client().get("/")


async def test_flashed_messages_are_taken_once() -> None:
    app = App("flashes")
    app.secret_key = "secret"
    async with app.test_request_context("/"):
        await flash("one")
        await flash("two", "error")
        assert get_flashed_messages(category_filter=["error"]) == ["two"]
        assert get_flashed_messages(with_categories=True) == [("message", "one"), ("error", "two")]
        assert "_flashes" not in session


async def test_without_a_secret_key_there_are_no_messages() -> None:
    app = App("flashes")
    async with app.test_request_context("/"):
        assert await render_template_string("{{ get_flashed_messages() }}") == "[]"
        with pytest.raises(RuntimeError, match="secret key"):
            await flash("one")
