"""The tutorial's bug in production: many people, several workers, one name."""

import asyncio
import re

import httpx
import pytest
from sqlalchemy import func, select

from quartapp.database import DatabaseEngine
from quartapp.microblog.config import Settings
from quartapp.microblog.models import User
from quartapp.microblog.models.user import add_user
from quartapp.microblog.passwords import hash_now, scrypt
from quartapp.microblog.testing import StartServer
from quartapp.testing import LiveServer

PEOPLE = 20
PASSWORD = "cat"


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


async def test_one_of_twenty_wins_a_race_over_http(
    live_server: StartServer, settings: Settings
) -> None:
    database = DatabaseEngine(settings.database_url)
    cheap = hash_now(PASSWORD, scrypt(7))
    async with database.session() as session:
        for number in range(PEOPLE):
            await add_user(session, f"person{number}", f"person{number}@example.com", cheap)
    with live_server(WORKERS="2", ENVIRONMENT="development", PASSWORD_COST="7") as server:
        # The server may close a connection that was idle while the others logged in.
        none_kept = httpx.Limits(max_keepalive_connections=0)
        clients = [
            httpx.AsyncClient(base_url=server.url, timeout=120, limits=none_kept)
            for _ in range(PEOPLE)
        ]
        tokens = [await _log_in(client, number) for number, client in enumerate(clients)]
        answers = await asyncio.gather(*map(_rename, clients, tokens))
        for client in clients:
            await client.aclose()
        _check(answers, server)
    async with database.session() as session:
        assert await session.scalar(select(func.count()).where(User.username == "wanted")) == 1
        kept = select(func.count()).where(User.username.like("person%"), User.about_me == "")
        assert await session.scalar(kept) == PEOPLE - 1
    await database.dispose()


def _check(answers: list[httpx.Response], server: LiveServer) -> None:
    assert sorted(answer.status_code for answer in answers) == [302] + [422] * (PEOPLE - 1)
    losers = [answer.text for answer in answers if answer.status_code == 422]
    assert all("Please use a different username." in page for page in losers)
    assert "Traceback" not in server.output


async def _log_in(client: httpx.AsyncClient, number: int) -> str:
    fields = {"username": f"person{number}", "password": PASSWORD}
    token = _token(await client.get("/login"))
    answer = await client.post("/login", data=fields | {"csrf_token": token})
    assert answer.status_code == 302
    return _token(await client.get("/edit_profile"))


async def _rename(client: httpx.AsyncClient, token: str) -> httpx.Response:
    fields = {"csrf_token": token, "username": "wanted", "about_me": "I was first"}
    return await client.post("/edit_profile", data=fields)


def _token(page: httpx.Response) -> str:
    match = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert match
    return match[1]
