"""References, people, hours, tags and responses: exact, bounded, on both engines."""

from collections.abc import Sequence

import pytest
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database import DatabaseEngine
from quartapp.reporting.alerts.evaluation import Rules
from quartapp.reporting.alerts.policy import Limits
from quartapp.reporting.counting import details, store
from quartapp.reporting.counting.aggregate import MOST_PEOPLE, MOST_VALUES, aggregate
from quartapp.reporting.exceptions import GroupNotFoundError
from quartapp.reporting.journal.entries import Brief, Entry, Tick
from quartapp.reporting.queries.groups import find_by_reference
from quartapp.reporting.references import reference_of
from quartapp.reporting.report import Origin, Report, RequestInfo, person_of
from quartapp.reporting.tables import (
    ErrorGroup,
    ErrorHour,
    ErrorPerson,
    ErrorReference,
    ErrorTag,
    ErrorTraffic,
)

NOW = 1_900_000_800
RULES = Rules(host="alpha", limits=Limits(), mails=True)


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


async def count(database: DatabaseEngine, entries: Sequence[Entry]) -> None:
    """Count entries as a piece of a segment."""
    aggregates, senseless = aggregate((entry.encode() for entry in entries), NOW)
    assert not senseless
    async with database.begin() as session:
        await store.count(session, aggregates, RULES, NOW)


def report(group: str = "a", time: float = NOW, **values: object) -> Report:
    defaults: dict[str, object] = {"id": f"{group}-{time}", "title": "T", "time": time}
    return Report(fingerprint=group, **(defaults | values))  # type: ignore[arg-type]  # by name


async def test_references_of_all_kinds_of_entries_are_stored(
    database: DatabaseEngine, session: AsyncSession
) -> None:
    first, second, third = map(reference_of, (0, 31**8 - 1, 7))
    entries: list[Entry] = [
        report(reference=first),
        Brief("b", NOW, "T", "c", 1, second),
        Tick("b", NOW + 1, 1, third, person_of("7")),
        Tick("b", NOW),
        report("c", reference="chosen-by-the-application"),
    ]
    await count(database, entries)
    rows = await session.execute(select(ErrorReference.number, ErrorReference.seen_at))
    assert sorted(map(tuple, rows)) == [(0, NOW), (7, NOW + 1), (31**8 - 1, NOW)]
    for reference, group in ((first, "a"), (second, "b"), (third, "b")):
        assert (await find_by_reference(session, reference)).fingerprint == group
    chosen = await find_by_reference(session, "chosen-by-the-application")
    assert chosen.fingerprint == "c"


async def test_a_reference_leads_to_the_first_error_of_its_request(
    database: DatabaseEngine, session: AsyncSession
) -> None:
    same = reference_of(5)
    await count(database, [Tick("z", NOW, 1, same), Tick("a", NOW, 1, same)])
    await count(database, [Tick("b", NOW, 1, same)])
    assert (await find_by_reference(session, same)).fingerprint == "z"


async def test_a_reference_of_a_deleted_group_leads_to_no_other_one(
    database: DatabaseEngine, session: AsyncSession
) -> None:
    await count(database, [Tick("a", NOW, 1, reference_of(5))])
    async with database.begin() as writer:
        await writer.execute(delete(ErrorGroup))
    await count(database, [Tick("b", NOW + 10)])  # SQLite uses the id again
    with pytest.raises(GroupNotFoundError):
        await find_by_reference(session, reference_of(5))


async def test_people_are_counted_once_in_each_group(
    database: DatabaseEngine, session: AsyncSession
) -> None:
    susan, john = person_of("susan"), person_of("john")
    await count(database, [report(person=susan), Tick("a", NOW, 1, "", susan), Tick("a", NOW)])
    await count(database, [Tick("a", NOW, 1, "", john), Tick("a", NOW, 1, "", susan)])
    await count(database, [Brief("b", NOW, "T", "c", 1, "", susan)])
    groups = await session.scalars(select(ErrorGroup))
    assert {group.fingerprint: group.people for group in groups} == {"a": 2, "b": 1}
    assert await session.scalar(select(func.count()).select_from(ErrorPerson)) == 3


@pytest.mark.slow
async def test_many_people_take_a_thousand_rows(
    database: DatabaseEngine, session: AsyncSession
) -> None:
    for start in (0, 700, 1400, 9000):
        met = [Tick("a", NOW, 1, "", person_of(str(start + n))) for n in range(1000)]
        await count(database, met[:700])
    group = (await session.scalars(select(ErrorGroup))).one()
    assert (group.count, group.people) == (2800, MOST_PEOPLE)
    assert await session.scalar(select(func.count()).select_from(ErrorPerson)) == MOST_PEOPLE
    await count(database, [Tick("a", NOW, 1, "", person_of(str(n))) for n in range(9000)])
    assert await session.scalar(select(func.count()).select_from(ErrorPerson)) == MOST_PEOPLE


async def test_hours_are_added_up(database: DatabaseEngine, session: AsyncSession) -> None:
    hour = NOW // 3600
    await count(database, [Tick("a", NOW, 5), Tick("a", NOW + 60, 2), Tick("b", NOW)])
    await count(database, [Tick("a", NOW, 1), Tick("a", NOW - 3600, 3)])
    rows = select(ErrorGroup.fingerprint, ErrorHour.hour, ErrorHour.count).where(
        ErrorGroup.id == ErrorHour.group_id
    )
    found = sorted(map(tuple, await session.execute(rows)))
    assert found == [("a", hour - 1, 3), ("a", hour, 8), ("b", hour, 1)]


async def test_tags_are_those_of_full_reports(
    database: DatabaseEngine, session: AsyncSession
) -> None:
    await count(database, [report(origin=Origin("stage", "v1", "alpha")), Tick("a", NOW)])
    await count(database, [report(time=NOW + 9, origin=Origin("stage", "v2", "alpha"))])
    rows = await session.scalars(select(ErrorTag).order_by(ErrorTag.name, ErrorTag.value))
    found = [(tag.name, tag.value, tag.first_seen, tag.last_seen) for tag in rows]
    assert found == [
        ("environment", "stage", NOW, NOW + 9),
        ("host", "alpha", NOW, NOW + 9),
        ("release", "v1", NOW, NOW),
        ("release", "v2", NOW + 9, NOW + 9),
    ]


async def test_of_too_many_releases_and_hosts_the_last_ones_are_kept(
    database: DatabaseEngine, session: AsyncSession
) -> None:
    for start in (0, 60, 75):
        origins = [Origin("", f"v{start + n}", f"host {start + n}" * 90) for n in range(60)]
        await count(
            database,
            [report(time=NOW + start + n, origin=origin) for n, origin in enumerate(origins)],
        )
    rows = await session.execute(select(ErrorTag.name, ErrorTag.value))
    kept = sorted(int(value[1:]) for name, value in rows.all() if name == "release")
    assert kept == list(range(135 - MOST_VALUES, 135))
    assert await session.scalar(select(func.count()).select_from(ErrorTag)) == 2 * MOST_VALUES


async def test_the_message_and_the_route_are_those_of_the_last_report(
    database: DatabaseEngine, session: AsyncSession
) -> None:
    await count(database, [report(message="first", request=RequestInfo("GET", "/a", "/a"))])
    await count(database, [report(time=NOW + 1, message="second" * 900), Tick("a", NOW + 2)])
    group = (await session.scalars(select(ErrorGroup))).one()
    assert (group.message, group.route) == (("second" * 900)[:500], "/a")


async def test_responses_of_several_workers_are_added(
    database: DatabaseEngine, session: AsyncSession
) -> None:
    workers = [[(5, "alpha", 3, 1)], [(5, "alpha", 2, 0), (6, "alpha", 1, 1), (5, "b", 1, 0)]]
    for counted in workers:
        async with database.begin() as writer:
            await details.add_traffic(writer, counted)
    rows = await session.scalars(select(ErrorTraffic).order_by(ErrorTraffic.minute))
    found = {(row.minute, row.host): (row.responses, row.failures) for row in rows}
    assert found == {(5, "alpha"): (5, 1), (5, "b"): (1, 0), (6, "alpha"): (1, 1)}
