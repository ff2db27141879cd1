"""The releases that were deployed, on both engines."""

import pytest

from quartapp.database import DatabaseEngine
from quartapp.reporting.queries import releases


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


async def test_a_release_is_stored_once_and_the_last_one_is_first(
    database: DatabaseEngine,
) -> None:
    async with database.begin() as session:
        times = [
            await releases.mark(session, name, at, who="ops", again=again)
            for name, at, again in (
                ("v1", 1.0, False),
                ("v1", 2.0, False),
                ("v2", 3.0, False),
                ("v1", 4.0, True),
            )
        ]
    assert times == [1.0, 1.0, 3.0, 4.0]
    async with database.session(write=False) as session:
        found = await releases.list_releases(session)
    assert [(each.name, each.at) for each in found] == [("v1", 4.0), ("v2", 3.0)]
