"""The invented month is consistent with itself, on both databases."""

import time

import pytest
from sqlalchemy import func, select

from quartapp.database import DatabaseEngine
from quartapp.reporting.demo import NotEmptyError, fill
from quartapp.reporting.references import number_of
from quartapp.reporting.report import Report
from quartapp.reporting.tables import (
    ErrorGroup,
    ErrorHour,
    ErrorMinute,
    ErrorPerson,
    ErrorReference,
    ErrorSample,
)

GROUPS, OCCURRENCES = 60, 5000


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


@pytest.mark.slow
async def test_the_sums_of_the_month_agree(database: DatabaseEngine) -> None:
    steps = [step async for step in fill(database, groups=GROUPS, occurrences=OCCURRENCES)]
    assert steps[0] == "60 groups"
    assert steps[-1] == "5,000 references"
    async with database.session(write=False) as session:
        groups = {group.id: group for group in await session.scalars(select(ErrorGroup))}
        hours = select(ErrorHour.group_id, func.sum(ErrorHour.count)).group_by(ErrorHour.group_id)
        by_hours = {group: int(count) for group, count in await session.execute(hours)}
        minutes = select(ErrorMinute.group_id, func.sum(ErrorMinute.count))
        by_minutes = await session.execute(minutes.group_by(ErrorMinute.group_id))
        people = select(ErrorPerson.group_id, func.count()).group_by(ErrorPerson.group_id)
        by_people = {key: int(number) for key, number in await session.execute(people)}
        samples = (await session.scalars(select(ErrorSample))).all()
        references = (await session.scalars(select(ErrorReference))).all()
    assert len({group.fingerprint for group in groups.values()}) == len(groups) == GROUPS
    assert sum(group.count for group in groups.values()) == OCCURRENCES
    assert by_hours == {key: group.count for key, group in groups.items()}
    assert all(int(count) <= groups[group].count for group, count in by_minutes)
    assert by_people == {key: group.people for key, group in groups.items()}
    assert len(references) == OCCURRENCES
    assert {one.group_id for one in references} <= set(groups)
    assert max(group.last_seen.timestamp() for group in groups.values()) <= time.time()
    leads_to = {one.number: one.group_id for one in references}
    for sample in samples:
        number = number_of(sample.reference)
        assert number is not None
        assert leads_to[number] == sample.group_id
        report = Report.from_json(sample.report)
        assert report.fingerprint == groups[sample.group_id].fingerprint
        assert report.exceptions[0].frames[-1].in_app


async def test_a_database_that_has_errors_is_left_alone(database: DatabaseEngine) -> None:
    async for _ in fill(database, groups=1, occurrences=1):
        pass
    with pytest.raises(NotEmptyError):
        await anext(fill(database, groups=1, occurrences=1))


async def test_the_next_group_gets_a_new_id(database: DatabaseEngine) -> None:
    async for _ in fill(database, groups=3, occurrences=30):
        pass
    now = func.current_timestamp()
    async with database.begin() as session:
        group = ErrorGroup(fingerprint="new-1", title="New", count=1, first_seen=now, last_seen=now)
        session.add(group)
        await session.flush()
        assert group.id == 4
