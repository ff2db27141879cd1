"""The application under test. The fixtures `client`, `session`, `mail_server` and others come from
quartapp.testing.
"""

from pathlib import Path

import pytest
from quartapp.flasklike import App

from myapp import create_app
from myapp.models import db
from myapp.settings import Settings


@pytest.fixture
async def app(tmp_path: Path, database_url: str) -> App:
    """A new application with an empty database. Its errors are answered as in production."""
    settings = Settings(
        secret_key="only for tests, and long enough for them",
        database_url=database_url,
        instance_path=str(tmp_path / "instance"),
    )
    app = create_app(settings)
    async with app.app_context():
        await db.create_all()
    return app
