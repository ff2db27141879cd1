"""The size of a request is checked before it is processed, so its cost is at most linear."""

import json
import unicodedata
from collections.abc import Callable
from typing import NoReturn
from urllib.parse import quote

import pytest

from quartapp.flasklike import App
from quartapp.microblog.testing import PASSWORD, AddPerson, LogIn
from quartapp.reporting import Report
from quartapp.testing import Client
from tests.costs import TOLERATED, growth, marks
from tests.microblog.web.conftest import Submit, text_of, token_of
from tests.microblog.web.test_bad_input import FIELDS, FORM, FORMS


def multipart(fields: dict[str, str]) -> dict[str, object]:
    part = '--x\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    body = "".join(part.format(name, value) for name, value in fields.items()) + "--x--\r\n"
    return {
        "data": body.encode(),
        "headers": {"Content-Type": "multipart/form-data; boundary=x"},
    }


@pytest.mark.parametrize(("path", "field"), FIELDS)
@pytest.mark.parametrize("token", ["missing", "right"])
async def test_runs_of_marks_cost_no_more_than_their_size(
    app: App, log_in: LogIn, path: str, field: str, token: str
) -> None:
    client = app.test_client() if path in {"/login", "/register"} else await log_in("susan")
    sent = {"csrf_token": await token_of(client, path)} if token == "right" else {}

    async def post(size: int) -> None:
        fields = sent | FORMS[path] | {field: marks(size)}
        answer = await client.post(path, **multipart(fields))
        assert answer.status_code == (422 if sent else 400)

    assert await growth(post, 3_000) < TOLERATED


@pytest.mark.parametrize(("path", "field"), FIELDS)
async def test_a_text_that_is_too_long_is_never_normalized(
    app: App, log_in: LogIn, monkeypatch: pytest.MonkeyPatch, path: str, field: str
) -> None:
    client = app.test_client() if path in {"/login", "/register"} else await log_in("susan")
    token = await token_of(client, path)
    seen: list[str] = []

    def normalize(form: str, text: str) -> str:
        seen.append(text)
        return text

    monkeypatch.setattr(unicodedata, "normalize", normalize)
    await client.post(path, form=FORMS[path] | {field: marks(5_000)})
    assert marks(5_000) not in seen
    fields = {"csrf_token": token} | FORMS[path] | {field: marks(5_000)}
    await client.post(path, form=fields)
    assert marks(5_000) not in seen


async def test_a_text_that_is_too_long_is_shown_again_with_its_length(
    client: Client, submit: Submit
) -> None:
    answer = await submit(client, "/login", username=marks(24_000), password="cat")
    assert answer.status_code == 422
    assert "Please use at most 64 characters; these are 24001." in await text_of(answer)


async def test_a_password_that_is_too_long_is_not_hashed(
    client: Client, submit: Submit, add_person: AddPerson, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> NoReturn:
        raise AssertionError("hashed")

    await add_person("susan")
    monkeypatch.setattr("quartapp.microblog.credentials.is_password_right", never)
    monkeypatch.setattr("quartapp.microblog.web.auth.hash_password", never)
    long = {"password": "p" * 257, "password2": "p" * 257}
    for path in ("/login", "/register"):
        assert (await submit(client, path, **FORMS[path] | long)).status_code == 422


async def test_white_space_around_a_text_is_not_counted(client: Client, submit: Submit) -> None:
    fields = FORMS["/register"] | {"username": " " * 90 + "mary" + " " * 90}
    assert (await submit(client, "/register", **fields)).status_code == 302


async def test_a_token_longer_than_tokens_are_is_not_checked(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> NoReturn:
        raise AssertionError("checked")

    token = await token_of(client, "/login")
    form = FORMS["/login"] | {"csrf_token": "2" * 400_000 + token}
    page = client.post("/login", form=form, headers={"Accept": "application/json"})
    monkeypatch.setattr("wtforms.csrf.session.SessionCSRF.validate_csrf_token", never)
    assert (await page).status_code == 400


def urlencoded(body: str) -> dict[str, object]:
    return {"data": body, "headers": {"Content-Type": FORM}}


def many(number: int) -> dict[str, str]:
    return {f"field{count}": "" for count in range(number)}


@pytest.mark.parametrize("path", FORMS)
async def test_a_form_of_too_many_fields_is_too_large(
    app: App, log_in: LogIn, captured_reports: list[Report], path: str
) -> None:
    client = app.test_client() if path in {"/login", "/register"} else await log_in("susan")
    most = app.config["MAX_FORM_PARTS"]
    for fields, status in ((most, 400), (most + 1, 413)):  # 400: it has no token
        names = "&".join(many(fields))
        assert (await client.post(path, **urlencoded(names))).status_code == status
        assert (await client.post(path, **multipart(many(fields)))).status_code == status
    assert (await client.post(path, **urlencoded("a&" * 500_000))).status_code == 413
    assert captured_reports == []


async def test_fields_that_are_too_many_are_not_parsed(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> NoReturn:
        raise AssertionError("parsed")

    monkeypatch.setattr("quartapp.flasklike.wrappers.formparser.parse_qsl", never)
    assert (await client.post("/login", **urlencoded("a&" * 500_000))).status_code == 413


async def test_a_kept_form_of_too_many_fields_is_none(log_in: LogIn) -> None:
    susan = await log_in("susan")
    for fields, status in ((99, 200), (101, 302)):
        kept = json.dumps(["posts.index", [["post", "kept"]] * fields])
        assert (await susan.post("/login", form={"kept": kept})).status_code == status


BODIES: dict[str, Callable[[int], dict[str, object]]] = {
    "fields": lambda size: urlencoded("a&" * size),
    "escapes": lambda size: urlencoded("username=" + "%41" * size),
    "no escapes": lambda size: urlencoded("username=" + "%" * size),
    "parts": lambda size: multipart(many(size // 50)),
    "line ends": lambda size: multipart({"username": "\r\n" * size}),
    "half boundaries": lambda size: multipart({"username": "\r\n--" * size}),
    "white space": lambda size: multipart({"username": " \n" * size}),
    "at signs": lambda size: multipart({"email": "@" * size}),
    "kept": lambda size: urlencoded("kept=" + "[" * size),
    "kept fields": lambda size: urlencoded('kept=["posts.index",[' + '["post",""],' * size + "]]"),
}


@pytest.mark.parametrize("path", ["/login", "/register"])
@pytest.mark.parametrize("kind", BODIES)
async def test_forms_cost_no_more_than_their_size(client: Client, kind: str, path: str) -> None:
    async def post(size: int) -> None:
        assert 400 <= (await client.post(path, **BODIES[kind](size))).status_code < 500

    assert await growth(post, 20_000) < TOLERATED


async def test_the_way_back_of_a_login_fits_into_the_head_of_an_answer(
    client: Client, add_person: AddPerson, submit: Submit
) -> None:
    await add_person("susan")
    for long in ("page=" + "1" * 5_000, "page=" + "%C3%BC" * 500):
        answer = await client.get(f"/edit_profile?{long}")
        assert (answer.status_code, answer.location) == (302, "/login")
        path = "/login?next=/explore?" + long
        answer = await submit(client, path, username="susan", password=PASSWORD)
        assert (answer.status_code, answer.location) == (302, "/")
        await submit(client, "/logout")


NUMBERS = ["/avatar/{}.svg", "/post/{}", "/post/{}/delete", "/explore?page={}", "/?before={}"]


@pytest.mark.parametrize("path", NUMBERS)
async def test_a_number_of_any_length_is_not_found(
    log_in: LogIn, captured_reports: list[Report], path: str
) -> None:
    susan = await log_in("susan")
    for digits in ("9" * 7_000, "0" * 7_000, "9" * 20):
        assert (await susan.get(path.format(digits))).status_code == 404
    assert captured_reports == []


NAMES = [
    "/user/{}",
    "/user/{}/followers",
    "/static/{}",
    "/{}",
    "/explore?page={}",
    "/login?next=/{}",
]


@pytest.mark.parametrize("path", NAMES)
async def test_a_name_in_an_address_costs_no_more_than_its_size(client: Client, path: str) -> None:
    async def get(size: int) -> None:
        answer = await client.get(path.format(quote(marks(size))))
        assert answer.status_code in {200, 404}

    assert await growth(get, 300) < TOLERATED


@pytest.mark.parametrize("cookie", ["session", "QUART_AUTH"])
async def test_a_cookie_costs_no_more_than_its_size(client: Client, cookie: str) -> None:
    async def get(size: int) -> None:
        for value in ("." * size, "e" * size, "." + "a" * size + ".a.a"):
            headers = {"Cookie": f"{cookie}={value}"}
            assert (await client.get("/login", headers=headers)).status_code == 200

    assert await growth(get, 7_000) < TOLERATED


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..b"])
async def test_a_host_without_addresses_is_a_plain_bad_request(
    client: Client, captured_reports: list[Report], host: str
) -> None:
    for path in ("/", "/login", "/nothing", "/static/app.css"):
        answer = await client.get(path, headers={"Host": host})
        assert (answer.status_code, "Bad Request</h1>" in await text_of(answer)) == (400, True)
    assert captured_reports == []


@pytest.mark.parametrize("referer", ["http://[::1", "//[", "http://a]b/", "\xff"])
async def test_a_link_from_an_impossible_address_is_no_error(
    client: Client, captured_reports: list[Report], referer: str
) -> None:
    answer = await client.get("/nothing", headers={"Referer": referer})
    assert (answer.status_code, "<nav" in await text_of(answer)) == (404, True)
    assert captured_reports == []
