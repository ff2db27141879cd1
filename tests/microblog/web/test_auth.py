"""Registering, logging in and out."""

import pytest

from quartapp.microblog import credentials
from quartapp.microblog.database import db
from quartapp.microblog.testing import PASSWORD, AddPerson, LogIn
from quartapp.microblog.web import auth
from quartapp.microblog.web.auth import safe_destination
from quartapp.testing import Client
from tests.microblog.web.conftest import Submit, text_of

SUSAN = {
    "username": "susan",
    "email": "susan@example.com",
    "password": PASSWORD,
    "password2": PASSWORD,
}


async def test_a_person_registers_and_then_logs_in(client: Client, submit: Submit) -> None:
    answer = await submit(client, "/register", **SUSAN)
    assert (answer.status_code, answer.location) == (302, "/login")
    page = await text_of(await client.get("/login"))
    assert "Congratulations, you are now a registered user!" in page
    answer = await submit(client, "/login", username="susan", password=PASSWORD)
    assert (answer.status_code, answer.location) == (302, "/")
    navigation = (await text_of(await client.get("/"))).partition("</nav>")[0]
    assert "<bdi>susan</bdi></a>" in navigation


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("username", "john", "Please use a different username."),
        ("email", "john@example.com", "Please use a different email address."),
        ("email", "john@EXAMPLE.com", "Please use a different email address."),
        ("email", "susan", "Please enter an address such as name@example.com."),
        ("password2", "dog", "The passwords differ."),
        ("username", "   ", "Please enter a username."),
        ("username", "s" * 65, "Please use at most 64 characters; these are 65."),
        ("username", "../susan", "must not contain slashes"),
        ("username", "..", "must not contain slashes"),
        ("username", "su\u200bsan", "must not contain invisible characters"),
        ("username", "susan\ufe0f", "must not contain invisible characters"),
        ("username", "\u3164", "must not contain invisible characters"),
        ("username", "JOHN", "Please use a different username."),
        ("username", "j\u043ehn", "Please use a different username."),
        ("username", "\u0430dmin", "This username is reserved."),
        ("password", "short", "Please use at least 8 characters; these are 5."),
        ("password", "iloveyou", "one of the most common passwords"),
        ("password", "susan1984", "made of your name"),
    ],
)
async def test_a_wrong_field_is_shown_again_with_its_error(
    client: Client, add_person: AddPerson, submit: Submit, field: str, value: str, message: str
) -> None:
    await add_person("john")
    answer = await submit(client, "/register", **SUSAN | {field: value})
    page = await text_of(answer)
    assert answer.status_code == 422
    assert message in page
    assert f'aria-describedby="{field}-error" aria-invalid="true"' in page
    typed = "email" if field == "username" else "username"
    assert f'value="{SUSAN[typed]}"' in page
    assert "<title>Error: Register - Microblog</title>" in page


async def test_the_constraint_judges_when_nobody_warned(
    client: Client, add_person: AddPerson, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> bool:
        return False

    await add_person("susan")
    monkeypatch.setattr("quartapp.microblog.web.forms.is_username_taken", never)
    monkeypatch.setattr("quartapp.microblog.web.forms.is_email_taken", never)
    answer = await submit(client, "/register", **SUSAN | {"email": "s@example.com"})
    assert answer.status_code == 422
    assert "Please use a different username." in await text_of(answer)
    answer = await submit(client, "/register", **SUSAN | {"username": "sue"})
    assert answer.status_code == 422
    assert "Please use a different email address." in await text_of(answer)


@pytest.mark.parametrize("username", ["susan", "nobody"])
async def test_a_wrong_login_does_not_say_what_was_wrong(
    client: Client, add_person: AddPerson, submit: Submit, username: str
) -> None:
    await add_person("susan")
    answer = await submit(client, "/login", username=username, password="dog")
    page = await text_of(answer)
    assert answer.status_code == 422
    assert "Invalid username or password" in page
    assert f'value="{username}"' in page
    assert "dog" not in page


async def test_nobody_waits_for_a_hash_with_a_connection_in_hand(
    client: Client, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_hand = []

    async def hash_password(_: str) -> str:
        in_hand.append(db.session.in_transaction())
        return "nothing that any password matches"

    async def is_password_right(*_: object) -> bool:
        in_hand.append(db.session.in_transaction())
        return False

    monkeypatch.setattr(auth, "hash_password", hash_password)
    monkeypatch.setattr(credentials, "is_password_right", is_password_right)
    await submit(client, "/register", **SUSAN)
    await submit(client, "/login", username="susan", password=PASSWORD)
    assert in_hand == [False, False]


async def test_only_a_remembered_login_outlives_the_browser(
    client: Client, add_person: AddPerson, submit: Submit
) -> None:
    await add_person("susan")
    login = {"username": "susan", "password": PASSWORD}
    answer = await submit(client, "/login", **login)
    assert "Max-Age" not in _login_cookie(answer.headers.getlist("Set-Cookie"))
    await submit(client, "/logout")
    answer = await submit(client, "/login", **login, remember_me="y")
    assert "Max-Age=2592000" in _login_cookie(answer.headers.getlist("Set-Cookie"))


def _login_cookie(cookies: list[str]) -> str:
    (cookie,) = [cookie for cookie in cookies if cookie.startswith("QUART_AUTH=")]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    return cookie


async def test_a_page_for_people_leads_to_the_login_and_back(
    client: Client, add_person: AddPerson, submit: Submit
) -> None:
    await add_person("susan")
    answer = await client.get("/edit_profile?page=1")
    assert (answer.status_code, answer.location) == (302, "/login?next=/edit_profile?page%3D1")
    page = await text_of(await client.get(answer.location))
    assert "Please log in to access this page." in page
    answer = await submit(client, answer.location, username="susan", password=PASSWORD)
    assert answer.location == "/edit_profile?page=1"


async def test_a_button_is_no_page_to_come_back_to(client: Client) -> None:
    answer = await client.post("/follow/susan")
    assert (answer.status_code, answer.location) == (302, "/login")


async def test_a_program_is_told_instead_of_led(client: Client) -> None:
    answer = await client.get("/edit_profile", headers={"Accept": "application/json"})
    assert answer.status_code == 401
    assert (await answer.get_json())["code"] == "login-required"


HOSTILE = [
    "",
    "nowhere",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https://evil.example/",
    "javascript:alert(1)",
    "/\t/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/\n/evil.example",
    "/a\x00b",
]


@pytest.mark.parametrize("target", HOSTILE)
def test_a_destination_elsewhere_is_refused(target: str) -> None:
    assert safe_destination(target) is None


@pytest.mark.parametrize("target", ["/", "/user/susan", "/explore?before=3&x=//y", "/user/jürgen"])
def test_a_path_of_this_site_is_a_destination(target: str) -> None:
    assert safe_destination(target) == target


async def test_a_login_with_a_hostile_destination_ends_at_home(
    client: Client, add_person: AddPerson, submit: Submit
) -> None:
    await add_person("susan")
    path = "/login?next=/%09/evil.example"
    answer = await submit(client, path, username="susan", password=PASSWORD)
    assert (answer.status_code, answer.location) == (302, "/")


async def test_logging_out_takes_a_post(log_in: LogIn, submit: Submit) -> None:
    client = await log_in("susan")
    assert "Do you want to log out?" in await text_of(await client.get("/logout"))
    assert (await client.get("/")).status_code == 200
    answer = await submit(client, "/logout")
    assert (answer.status_code, answer.location) == (302, "/")
    page = await text_of(await client.get("/"))
    assert "You are logged out." in page
    assert "Welcome to Microblog" in page
    assert (await client.get("/edit_profile")).status_code == 302


@pytest.mark.parametrize("path", ["/login", "/register"])
async def test_who_is_logged_in_needs_no_login(log_in: LogIn, path: str) -> None:
    answer = await (await log_in("susan")).get(path)
    assert (answer.status_code, answer.location) == (302, "/")


async def test_all_faults_of_a_form_are_shown_at_once(
    client: Client, add_person: AddPerson, submit: Submit
) -> None:
    await add_person("john")
    wrong = {"username": "john", "email": "john", "password": "one", "password2": "other"}
    page = await text_of(await submit(client, "/register", **wrong))
    for message in ("use a different username", "an address such as", "The passwords differ."):
        assert message in page
    assert page.count("autofocus") == 1
