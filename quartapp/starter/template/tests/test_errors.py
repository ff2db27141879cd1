"""An error that nobody expected: the page, the report, the mail and the rollback."""

import pytest
from quartapp.flasklike import App
from quartapp.reporting import Report
from quartapp.testing import Client, MailServer
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from myapp.models import Note, db


@pytest.fixture
def app(mail_server: MailServer, app: App) -> App:
    """The application with a page that writes and then fails."""

    @app.post("/fail")
    async def fail() -> str:
        db.session.add(Note(text="half a change"))
        await db.session.flush()
        raise RuntimeError("a bug")

    return app


async def test_an_error_is_shown_reported_mailed_and_rolled_back(
    client: Client,
    captured_reports: list[Report],
    mail_server: MailServer,
    session: AsyncSession,
) -> None:
    response = await client.post("/fail")
    page = await response.get_data(as_text=True)
    assert response.status_code == 500
    assert "An unexpected error has occurred" in page
    assert "a bug" not in page

    [report] = captured_reports
    assert report.title.startswith("RuntimeError in ")
    assert await session.scalar(select(func.count(Note.id))) == 0

    [mail] = await mail_server.receive()
    assert "RuntimeError" in mail.message["Subject"]
