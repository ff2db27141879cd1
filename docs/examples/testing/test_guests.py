"""`pytest` runs this suite, with every test strict."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from urllib.request import urlopen

import pytest

from quartapp.reporting import Report
from quartapp.testing import Client, LiveServer, MailServer, send_error_mails, submit


@pytest.mark.parametrize("time", ["first", "second"])
async def test_a_guest_signs(client: Client, time: str) -> None:
    response = await submit(client, "/sign", name="susan")
    assert response.status_code == 302
    page = await client.get("/")
    assert await page.get_data(as_text=True) == "susan"


async def test_a_form_needs_its_token(client: Client) -> None:
    response = await client.post("/sign", form={"name": "susan"})
    assert response.status_code == 400


async def test_a_name_is_taken_once(client: Client, captured_reports: list[Report]) -> None:
    await submit(client, "/sign", name="susan")
    response = await submit(client, "/sign", name="susan")
    assert response.status_code == 500
    assert "IntegrityError" in captured_reports[0].title


async def test_an_error_is_mailed(client: Client, mail_server: MailServer) -> None:
    await submit(client, "/sign", name="susan")
    assert (await submit(client, "/sign", name="susan")).status_code == 500
    await send_error_mails(client)
    [mail] = mail_server.mails
    assert "IntegrityError" in mail.message["Subject"]


async def test_the_list_is_one_query(
    client: Client, max_queries: Callable[[int], AbstractContextManager[list[str]]]
) -> None:
    with max_queries(1):
        await client.get("/")


def test_a_server_answers(live_server: Callable[..., LiveServer]) -> None:
    with live_server("guestbook:create_app()") as server, urlopen(server.url) as page:
        assert page.status == 200
