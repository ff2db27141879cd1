"""A shop as in production: with TESTING the exception would be raised in the test instead."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from quartapp.flasklike import App
from tests.shop.app import create_app, create_tables


@pytest.fixture
async def app(tmp_path: Path, database_url: str) -> AsyncIterator[App]:
    application = create_app(tmp_path, database_url, DATABASE_POOL_SIZE=2)
    await create_tables(application)
    async with application.test_app():
        yield application
