"""Error pages as in production: with TESTING the exception would be raised in the test instead."""

import secrets
from collections.abc import AsyncIterator

import pytest

from quartapp.flasklike import App
from quartapp.microblog.config import Settings
from quartapp.microblog.testing import create_tables
from tests.microblog import boom


@pytest.fixture
def settings(settings: Settings) -> Settings:
    production = {
        "environment": "production",
        "secret_key": secrets.token_hex(),
        "cookie_secure": False,
        "database_pool_size": 2,
    }
    return settings.model_copy(update=production)


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[App]:
    application = boom.create(settings)
    await create_tables(application)
    async with application.test_app():
        yield application
