"""Calling the API as a program does: with a token, JSON in and JSON out."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest
from sqlalchemy import update

from quartapp.database import DatabaseEngine
from quartapp.flasklike import App
from quartapp.microblog.models.token import issue_token
from quartapp.microblog.models.user import User
from quartapp.microblog.testing import AddPerson
from quartapp.testing import Client


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Any
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def problem(self) -> Any:
        """The body, which must be problem+json that repeats the status."""
        assert self.headers["Content-Type"] == "application/problem+json", self.text
        assert self.json["status"] == self.status
        return self.json

    @property
    def fields(self) -> dict[str, str]:
        """The faulty fields with their messages."""
        return {fault["field"]: fault["message"] for fault in self.problem["errors"]}


@dataclass(frozen=True)
class Caller:
    """A caller of the API: `await susan("GET", "/api/posts")`."""

    client: Client
    id: int = 0
    token: str = ""

    async def __call__(self, method: str, path: str, body: Any = None, **more: Any) -> Answer:
        headers = dict(more.pop("headers", {}))
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if body is not None:
            more["json"] = body
        response = await self.client.open(path, method=method, headers=headers, **more)
        text = await response.get_data(as_text=True)
        return Answer(response.status_code, response.headers, text)


Enter: TypeAlias = Callable[[str], Awaitable[Caller]]


@pytest.fixture
def nobody(client: Client) -> Caller:
    """A caller without a token."""
    return Caller(client)


@pytest.fixture
def enter(app: App, add_person: AddPerson) -> Enter:
    """`susan = await enter("susan")` adds a person and gives them a token."""

    async def make(username: str) -> Caller:
        person = await add_person(username)
        database: DatabaseEngine = app.extensions["database"]
        async with database.session() as session:
            issued = await issue_token(session, person.id, person.login_epoch)
        return Caller(app.test_client(), person.id, issued.token)

    return make


@pytest.fixture
async def admin(app: App, add_person: AddPerson) -> Caller:
    """An administrator with a token of the scope "admin"."""
    person = await add_person("admin")
    database: DatabaseEngine = app.extensions["database"]
    async with database.begin() as session:
        await session.execute(update(User).where(User.id == person.id).values(is_admin=True))
    issued = await issue_token(database, person.id, person.login_epoch, scope="read admin")
    return Caller(app.test_client(), person.id, issued.token)


@pytest.fixture
async def susan(enter: Enter) -> Caller:
    return await enter("susan")
