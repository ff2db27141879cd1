"""If the database fails, the error page still greets the person who is logged in."""

import logging

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from quartapp.database import Session
from quartapp.flasklike import App
from quartapp.microblog.models import User
from quartapp.microblog.models.user import find_profile
from quartapp.microblog.testing import AddPerson, LogIn
from tests.errors.test_database import lose_the_database, records_of
from tests.shop.app import INSIDE


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


def kinds_of(records: list[logging.LogRecord]) -> list[type[BaseException] | None]:
    return [record.exc_info[0] for record in records if record.exc_info]


async def test_the_page_is_shown_after_a_failed_flush(
    app: App, log_in: LogIn, session: Session
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


@pytest.mark.slow
async def test_an_error_between_two_changes_leaves_nothing(
    app: App, log_in: LogIn, caplog: pytest.LogCaptureFixture
) -> None:
    """What the request wrote, it could read; the 500 undoes it before its page is shown."""
    client = await log_in("susan")
    for number in range(1, 4):
        response = await client.post("/half-done?name=susan")
        assert response.status_code == 500
        assert "susan" in await response.get_data(as_text=True)
        assert kinds_of(records_of(app, caplog)) == [RuntimeError] * number
        assert (await find_profile(app.extensions["database"], "susan")).about_me == ""
    assert (await client.get("/user/susan")).status_code == 200


async def test_the_bug_of_the_tutorial_is_an_error_that_changes_nothing(
    app: App,
    log_in: LogIn,
    add_person: AddPerson,
    caplog: pytest.LogCaptureFixture,
    session: Session,
) -> None:
    client = await log_in("susan")
    await add_person("john")
    for number in range(1, 4):
        response = await client.post("/taken?name=susan&new=john")
        page = await response.get_data(as_text=True)
        assert response.status_code == 500
        assert "An unexpected error has occurred" in page
        assert not [word for word in (*INSIDE, "users") if word in page]
        assert kinds_of(records_of(app, caplog)) == [IntegrityError] * number
    assert set(await session.scalars(select(User.username))) == {"susan", "john"}


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
