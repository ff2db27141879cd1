"""How long a request that may write blocks others."""

import asyncio

import pytest
from sqlalchemy import update

from quartapp.database import DatabaseEngine
from quartapp.flasklike import App
from quartapp.microblog.models import User
from quartapp.microblog.testing import LogIn


@pytest.mark.slow
async def test_asking_who_sends_a_form_waits_for_no_writer(app: App, log_in: LogIn) -> None:
    client = await log_in("susan")
    database: DatabaseEngine = app.extensions["database"]
    async with asyncio.timeout(20), database.begin() as writer:
        await writer.execute(update(User).values(about_me="being written"))
        answer = await client.post("/edit_profile", form={"username": "susan"})
    assert answer.status_code == 400  # the form has no token, so nothing is written
