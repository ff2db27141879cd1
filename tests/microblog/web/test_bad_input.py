"""Invalid forms are answered with a 4xx that says why, and nothing is stored."""

import asyncio

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.flasklike import App
from quartapp.microblog.models import Post, User
from quartapp.microblog.testing import PASSWORD, AddPerson, LogIn
from quartapp.testing import Client
from tests.microblog.web.conftest import Submit, text_of, token_of

FORM = "application/x-www-form-urlencoded"
NOT_UTF8 = "This is not valid UTF-8 text."
CONTROL = "Control characters are not allowed here."

FORMS = {
    "/login": {"username": "susan", "password": PASSWORD},
    "/register": {
        "username": "mary",
        "email": "mary@example.com",
        "password": PASSWORD,
        "password2": PASSWORD,
    },
    "/edit_profile": {"username": "susan", "about_me": "Hello"},
    "/": {"post": "Hello"},
}
FIELDS = [(path, field) for path, fields in FORMS.items() for field in fields]

# As they are sent: percent-encoded bytes.
BAD_BYTES = {
    "NUL": ("a%00b", 422, CONTROL),
    "escape": ("a%1Bb", 422, CONTROL),
    "replaced": ("a%EF%BF%BDb", 422, NOT_UTF8),
    "no UTF-8": ("a%FF%FEb", 400, NOT_UTF8),
    "unquoted": ("a\xffb", 400, NOT_UTF8),
    "a lone surrogate": ("a%ED%A0%80b", 400, NOT_UTF8),
}


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


@pytest.fixture
async def susan(log_in: LogIn) -> Client:
    return await log_in("susan")


def _client_for(app: App, susan: Client, path: str) -> Client:
    return app.test_client() if path in {"/login", "/register"} else susan


@pytest.mark.parametrize(("path", "field"), FIELDS)
async def test_bytes_that_are_no_text_are_a_forms_error(
    app: App, susan: Client, session: AsyncSession, path: str, field: str
) -> None:
    client = _client_for(app, susan, path)
    token = (await token_of(client, path)).replace("#", "%23")
    for kind, (value, status, message) in BAD_BYTES.items():
        parts = {"csrf_token": token} | FORMS[path] | {field: value}
        body = "&".join(f"{name}={part}" for name, part in parts.items())
        headers = {"Content-Type": FORM}
        answer = await client.post(path, data=body.encode("latin-1"), headers=headers)
        assert answer.status_code == status, kind
        assert message in await text_of(answer), kind
    assert await _stored(session) == (1, 0)


async def test_bytes_that_are_no_text_may_come_in_parts(
    susan: Client, session: AsyncSession
) -> None:
    token = await token_of(susan, "/")
    part = '--x\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    body = part.format("csrf_token", token) + part.format("post", "a\xffb") + "--x--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = await susan.post("/", data=body.encode("latin-1"), headers=headers)
    assert answer.status_code == 422
    assert NOT_UTF8 in await text_of(answer)
    assert await _stored(session) == (1, 0)


@pytest.mark.parametrize(("path", "field"), FIELDS)
async def test_empty_and_overlong_fields_are_a_forms_error(
    app: App, susan: Client, submit: Submit, session: AsyncSession, path: str, field: str
) -> None:
    client = _client_for(app, susan, path)
    for length in (0, 5000, 400_000):
        answer = await submit(client, path, **FORMS[path] | {field: "x" * length})
        may_be_empty = field == "about_me" and not length
        assert answer.status_code == (302 if may_be_empty else 422), length
    assert await _stored(session) == (1, 0)


async def _stored(session: AsyncSession) -> tuple[int | None, int | None]:
    people = await session.scalar(select(func.count()).select_from(User))
    posts = await session.scalar(select(func.count()).select_from(Post))
    await session.rollback()
    return people, posts


NO_FORMS = [
    (FORM, b"username=\xff\xfe", 400),
    (FORM, b"", 400),
    (FORM, b"%", 400),
    (FORM, b"x" * (1024 * 1024 + 1), 413),
    ("application/json", b"{}", 415),
    ("text/plain; charset=nonsense", b"username=susan", 415),
    ("multipart/form-data", b"no boundary", 400),
    ("multipart/form-data; boundary=x", b"--x\r\nnonsense", 400),
    ("multipart/form-data; boundary=\xff", b"--x--", 400),
    ("", b"username=susan", 415),
    ("nonsense", b"\0", 415),
]


@pytest.mark.parametrize("path", FORMS)
async def test_a_body_that_is_no_form_is_refused(app: App, susan: Client, path: str) -> None:
    client = _client_for(app, susan, path)
    for content_type, body, status in NO_FORMS:
        answer = await client.post(path, data=body, headers={"Content-Type": content_type})
        assert answer.status_code == status, (content_type, body[:20])
        assert "<nav" in await text_of(answer)


QUERIES = [
        "page=-1", "page=0", "page=abc", "page=", "page=1.5", "page=%00", "page=%FF", "page=2",
        f"page={10**30}", f"before={10**30}", f"after={2**63}", "before=x", "before=-1", "after=0",
        "page=%D9%A1", "page=9999999999999999999", "page=-1&before=3", "before=3&after=0",
    ]  # fmt: skip


LISTS = ["/", "/explore", "/user/susan", "/user/susan/followers", "/user/susan/following"]


@pytest.mark.parametrize("path", LISTS)
async def test_a_page_that_cannot_be_is_not_found(susan: Client, path: str) -> None:
    for query in QUERIES:
        answer = await susan.get(f"{path}?{query}")
        assert answer.status_code == 404, query
        assert "There is no such page." in await text_of(answer)


PATHS = [
        "/user/%00", "/user/%FF", "/user/%ED%A0%80", "/user/" + "x" * 5000, "/user/a%2Fb",
        "/avatar/0.svg", f"/avatar/{10**30}.svg", "/avatar/-1.svg", "/avatar/abc.svg", "/%00",
        "/post/0", f"/post/{10**30}", "/post/-1", "/post/x", "/post/9", "/post/9/delete",
        "/user/nobody/followers", "/user/nobody/following",
        "/static/../config.py", "/static/%2e%2e/config.py", "/static/%00",
    ]  # fmt: skip


async def test_an_address_that_cannot_be_is_not_found(susan: Client) -> None:
    for path in PATHS:
        assert (await susan.get(path)).status_code == 404, path


@pytest.mark.parametrize("path", ["/follow/%00", "/follow/%FF", "/unfollow/" + "x" * 5000])
async def test_following_an_impossible_name_finds_nobody(
    susan: Client, submit: Submit, path: str
) -> None:
    answer = await submit(susan, path, "/")
    assert (answer.status_code, answer.location) == (302, "/")
    assert "not found." in await text_of(await susan.get("/"))


@pytest.mark.parametrize("cookie", ["QUART_AUTH", "session"])
async def test_a_forged_cookie_is_nobodys(client: Client, cookie: str) -> None:
    for value in ("nonsense", "", ".", "a.b.c", "\xff", "e30.e30.e30", "x" * 5000):
        headers = {"Cookie": f"{cookie}={value}"}
        answer = await client.get("/edit_profile", headers=headers)
        assert (answer.status_code, answer.location) == (302, "/login?next=/edit_profile"), value
        answer = await client.post("/login", form={"csrf_token": "x##y"}, headers=headers)
        assert answer.status_code == 400, value


@pytest.mark.parametrize("auth_id", ["", "1", "1.0.0", "x.0.0.susan", "-1.0.0.susan"])
async def test_a_signed_cookie_of_another_kind_is_nobodys(
    app: App, client: Client, add_person: AddPerson, auth_id: str
) -> None:
    await add_person("susan")
    token = app.extensions["identity"].dump_token(auth_id, app=app)
    answer = await client.get("/edit_profile", headers={"Cookie": f"QUART_AUTH={token}"})
    assert answer.status_code == 302
    assert "susan" not in await text_of(answer)


async def _all_returned(app: App) -> None:
    # Wait for it: the consumer of errors takes a connection now and then.
    while app.extensions["database"].engine.pool.checkedout():  # noqa: ASYNC110 a pool has no event
        await asyncio.sleep(0.01)


@pytest.mark.slow
async def test_a_slow_form_keeps_nobody_waiting(
    app: App, susan: Client, log_in: LogIn, submit: Submit
) -> None:
    """A request whose form arrives slowly holds neither a connection nor SQLite's write lock."""
    await susan.get("/")
    slow = susan.request(
        "/", method="POST", headers={"Content-Type": FORM, "Content-Length": "100"}
    )
    async with slow as connection:
        await connection.send(b"post=")
        await asyncio.sleep(0.2)
        await asyncio.wait_for(_all_returned(app), timeout=60)
        john = await log_in("john")
        answer = await submit(john, "/", post="quick")
        assert answer.status_code == 302
        await connection.disconnect()
