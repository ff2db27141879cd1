"""The reference that a page shows leads to its error, also in a storm."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from quart.typing import TestClientProtocol as Client

from quartapp.database import DatabaseEngine
from quartapp.flasklike import App
from quartapp.reporting import error_reference
from quartapp.reporting.exceptions import GroupNotFoundError
from quartapp.reporting.queries.groups import find_by_reference
from tests.reporting.conftest import eventually_counted
from tests.shop.app import create_app, create_tables


@pytest.fixture
async def app(tmp_path: Path, database_url: str) -> AsyncIterator[App]:
    app = create_app(tmp_path, database_url)
    await create_tables(app)
    async with app.test_app():
        yield app


@pytest.mark.slow
async def test_each_reference_of_a_storm_leads_to_its_error(app: App, client: Client) -> None:
    shown = []
    for _ in range(8):  # more than are recorded in full
        answer = await client.get("/boom", headers={"Accept": "text/html"})
        found = re.search(r'class="reference">(\w+)<', await answer.get_data(as_text=True))
        assert found is not None
        shown.append(found[1])
    assert len(set(shown)) == 8
    assert await eventually_counted(app, 8) == 8
    database: DatabaseEngine = app.extensions["database"]
    async with database.session(write=False) as session:
        for reference in shown:
            group = await find_by_reference(session, f" {reference.upper()}\n")
            assert (group.count, group.title) == (8, "RuntimeError in shop.app.boom")
        with pytest.raises(GroupNotFoundError):
            await find_by_reference(session, error_reference())
