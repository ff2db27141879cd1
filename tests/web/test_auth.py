"""Registering, logging in and out."""

from quartapp.testing import PASSWORD, Client
from tests.web.conftest import Submit, text_of

SUSAN = {
    "username": "susan",
    "email": "susan@example.com",
    "password": PASSWORD,
    "password2": PASSWORD,
}


async def test_registering_leads_to_the_login_page(client: Client, submit: Submit) -> None:
    answer = await submit(client, "/register", **SUSAN)
    assert (answer.status_code, answer.location) == (302, "/login")
    page = await text_of(await client.get("/login"))
    assert "Congratulations, you are now a registered user!" in page
    answer = await submit(client, "/login", username="susan", password=PASSWORD)
    assert (answer.status_code, answer.location) == (302, "/")
    assert "susan</a>" in (await text_of(await client.get("/"))).partition("</nav>")[0]
