"""The states of a group: the rule is the same in memory and in a query."""

from datetime import UTC, datetime
from itertools import product
from math import inf
from typing import Any

import pytest
from sqlalchemy import select

from quartapp.database import DatabaseEngine
from quartapp.reporting.queries.listing import NEW_SECONDS, STATES, state_of
from quartapp.reporting.tables import ErrorGroup

NOW = 1_900_000_000.0


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


def group(fingerprint: str = "a", first_seen: float = NOW, **values: Any) -> ErrorGroup:
    seen = datetime.fromtimestamp(first_seen, UTC)
    return ErrorGroup(
        fingerprint=fingerprint, title="t", count=1, first_seen=seen, last_seen=seen, **values
    )


async def test_a_query_finds_what_is_in_a_state_in_memory(database: DatabaseEngine) -> None:
    choices = product(
        (NOW, NOW - NEW_SECONDS, NOW - 2 * NEW_SECONDS),
        (None, NOW),
        (None, NOW),
        (None, NOW - 1, NOW, NOW + 1, inf),
        (None, 0, 7),
    )
    names = ("first_seen", "resolved_at", "regressed_at", "muted_until", "muted_more")
    groups = [
        group(str(number), **dict[str, Any](zip(names, values, strict=True)))
        for number, values in enumerate(choices)
    ]
    expected = {one.fingerprint: state_of(one, NOW) for one in groups}
    assert set(expected.values()) == STATES.keys() - {"open", "all"}
    values = {"now": NOW, "fresh": datetime.fromtimestamp(NOW - NEW_SECONDS, UTC)}
    found: dict[str, str] = {}
    async with database.begin() as session:
        session.add_all(groups)
        await session.flush()
        for state in set(expected.values()):
            query = select(ErrorGroup.fingerprint).where(STATES[state])  # type: ignore[arg-type]  # it has one
            found |= dict.fromkeys(await session.scalars(query, values), state)
    assert found == expected
