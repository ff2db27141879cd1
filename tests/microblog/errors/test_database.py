"""If the database fails, the error page still greets the person who is logged in."""

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.flasklike import App
from quartapp.microblog.models import User
from quartapp.microblog.testing import LogIn
from tests.errors.test_database import lose_the_database, records_of
from tests.shop.app import INSIDE


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


async def test_the_page_is_shown_after_a_failed_flush(
    app: App, log_in: LogIn, session: AsyncSession
) -> None:
    client = await log_in("susan")
    response = await client.get("/failed-flush?name=susan")
    page = await response.get_data(as_text=True)
    assert response.status_code == 500
    assert "An unexpected error has occurred" in page
    assert "susan" in page
    assert not [word for word in (*INSIDE, "users") if word in page]
    assert await session.scalar(select(User).where(User.username == "flushed")) is None
    assert (await client.get("/ready")).status_code == 200


async def test_the_database_gone_leaves_a_page_that_greets(
    app: App, log_in: LogIn, caplog: pytest.LogCaptureFixture
) -> None:
    client = await log_in("susan")
    await lose_the_database(app)
    response = await client.get("/hold?seconds=0")
    page = await response.get_data(as_text=True)
    assert response.status_code == 500
    assert "susan" in page
    # The consumer may log an error too, because its database is gone as well.
    assert len(records_of(app, caplog)) == 1
