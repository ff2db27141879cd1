"""What protects people's browsers: headers, tokens, and checks of a request's origin."""

import pytest

from quartapp.database import Session
from quartapp.microblog.app import create_app
from quartapp.microblog.config import Settings
from quartapp.microblog.models.paging import PageRequest
from quartapp.microblog.models.post import all_posts
from quartapp.microblog.testing import LogIn
from quartapp.testing import Client, Clock
from tests.microblog.web.conftest import Submit, text_of, token_of

ADDRESSES = [
    "/login", "/", "/nowhere", "/static/app.css", "/avatar/1.svg", "/user//susan", "/health",
    "/api/posts", "/api/openapi.json", "/?" + "a&" * 100, "/" + "a" * 8_000,
]  # fmt: skip


@pytest.mark.parametrize("path", ADDRESSES)
async def test_every_response_has_the_headers(client: Client, path: str) -> None:
    headers = (await client.get(path)).headers
    policy = headers["Content-Security-Policy"].split("; ")
    assert "frame-ancestors 'none'" in policy
    assert {"default-src 'self'", "default-src 'none'"} & set(policy)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert headers["Cache-Control"]
    assert "Strict-Transport-Security" not in headers, "cookies are sent over http"
    assert all(len(headers.getlist(name)) == 1 for name in set(headers.keys()) - {"Set-Cookie"})


@pytest.mark.parametrize("seconds", [31_536_000, 0])
async def test_where_cookies_need_https_browsers_come_by_https_alone(
    settings: Settings, seconds: int
) -> None:
    more = {"cookie_secure": True, "hsts_seconds": seconds}
    client = create_app(settings.model_copy(update=more)).test_client()
    for path in ("/health", "/nowhere", "/?" + "a&" * 100):
        answer = await client.get(path)
        expected = f"max-age={seconds}; includeSubDomains"
        assert answer.headers["Strict-Transport-Security"] == expected, path


async def test_pages_are_kept_by_no_shared_cache(client: Client) -> None:
    assert (await client.get("/login")).headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize("path", ["/", "/explore", "/user/susan", "/edit_profile", "/nowhere"])
async def test_what_a_member_is_shown_is_stored_nowhere(log_in: LogIn, path: str) -> None:
    answer = await (await log_in("susan")).get(path)
    assert "susan" in await text_of(answer)
    assert answer.headers["Cache-Control"] == "no-store"


async def test_a_redirect_is_as_short_as_proxies_take(client: Client) -> None:
    for path, status in (("susan", 308), ("%C3%A9" * 300, 308), ("a" * 2_100, 414)):
        answer = await client.get(f"/user//{path}")
        assert answer.status_code == status
        assert sum(len(name) + len(value) + 4 for name, value in answer.headers) < 4_000


@pytest.mark.parametrize("path", ["/login", "/register", "/edit_profile"])
async def test_no_page_needs_a_script_or_another_server(log_in: LogIn, path: str) -> None:
    page = await text_of(await (await log_in("susan")).get(path))
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.parametrize(
    "token",
    [None, "", "nonsense", "20990101000000##" + "0" * 40, "##", "a##\ufffd", "x" * 1000],
)
async def test_a_form_without_its_token_is_refused(
    log_in: LogIn, session: Session, token: str | None
) -> None:
    client = await log_in("susan")
    await client.get("/")
    form = {"post": "forged"} | ({} if token is None else {"csrf_token": token})
    answer = await client.post("/", form=form)
    page = await text_of(answer)
    assert answer.status_code == 400
    assert "This form is not valid any more" in page
    assert "<bdi>susan</bdi></a>" in page.partition("</nav>")[0]
    assert not (await all_posts(session, PageRequest(10))).items


@pytest.mark.parametrize("path", ["/follow/susan", "/unfollow/susan", "/logout"])
async def test_a_button_without_its_token_is_refused(log_in: LogIn, path: str) -> None:
    answer = await (await log_in("susan")).post(path, form={"csrf_token": "nonsense"})
    assert answer.status_code == 400


async def test_a_post_is_not_deleted_without_the_token(log_in: LogIn, session: Session) -> None:
    client = await log_in("susan")
    form = {"csrf_token": await token_of(client, "/"), "post": "stays"}
    assert (await client.post("/", form=form)).status_code == 302
    (post,) = (await all_posts(session, PageRequest(10))).items
    answer = await client.post(f"/post/{post.id}/delete", form={"csrf_token": "nonsense"})
    assert answer.status_code == 400
    assert (await all_posts(session, PageRequest(10))).items == [post]


async def test_a_token_of_somebody_else_is_refused(log_in: LogIn) -> None:
    token = await token_of(await log_in("john"), "/")
    answer = await (await log_in("susan")).post("/", form={"csrf_token": token, "post": "x"})
    assert answer.status_code == 400


async def test_a_token_lives_half_a_day(log_in: LogIn, clock: Clock) -> None:
    client = await log_in("susan")
    token = await token_of(client, "/")
    clock.advance(hours=11)
    form = {"csrf_token": token, "post": "in time"}
    assert (await client.post("/", form=form)).status_code == 302
    clock.advance(hours=2)
    assert (await client.post("/", form=form)).status_code == 400


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 302),
        ({"Sec-Fetch-Site": "none"}, 302),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, 403),
        ({"Origin": "http://localhost"}, 302),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://localhost.evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[broken"}, 403),
    ],
)
async def test_another_site_cannot_use_a_login(
    log_in: LogIn, headers: dict[str, str], status: int
) -> None:
    client = await log_in("susan")
    form = {"csrf_token": await token_of(client, "/"), "post": "x"}
    answer = await client.post("/", form=form, headers=headers)
    assert answer.status_code == status


async def test_a_program_without_cookies_may_come_from_anywhere(
    client: Client, log_in: LogIn
) -> None:
    for who, status in ((client, 404), (await log_in("susan"), 403)):
        answer = await who.post("/nowhere", headers={"Origin": "http://evil.example"})
        assert answer.status_code == status


async def test_another_site_may_link_here(log_in: LogIn) -> None:
    client = await log_in("susan")
    answer = await client.get("/explore", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200


async def test_logging_out_forgets_the_session(log_in: LogIn, submit: Submit) -> None:
    client = await log_in("susan")
    token = await token_of(client, "/")
    await submit(client, "/logout")
    answer = await client.post("/login", form={"csrf_token": token, "username": "x"})
    assert answer.status_code == 400
