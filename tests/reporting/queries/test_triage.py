"""What operators decide: each decision has its row, and of two at once the second is refused."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database import DatabaseEngine
from quartapp.database.dialect import database_now
from quartapp.reporting.alerts import evaluation
from quartapp.reporting.alerts.evaluation import Rules
from quartapp.reporting.alerts.policy import AlertState, Kind, Limits
from quartapp.reporting.exceptions import (
    ConflictError,
    DecisionError,
    GroupNotFoundError,
)
from quartapp.reporting.queries import triage
from quartapp.reporting.queries.listing import state_of
from quartapp.reporting.queries.triage import Decision, version_of
from quartapp.reporting.tables import (
    ActKind,
    ErrorAct,
    ErrorAlert,
    ErrorGroup,
    ErrorMinute,
    ErrorRelease,
    ErrorSample,
    ErrorTag,
)

NOW = time.time()
RULES = Rules(host="alpha", limits=Limits(initial_delay=0), mails=True)
MAILED = AlertState(episode=1, episode_since=NOW - 500, told_at=NOW - 500, told_total=1)


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


async def add_group(database: DatabaseEngine, fingerprint: str = "a" * 34) -> ErrorGroup:
    seen = datetime.fromtimestamp(NOW - 500, UTC)
    group = ErrorGroup(
        fingerprint=fingerprint,
        title="KeyError",
        count=1,
        first_seen=seen,
        last_seen=seen,
        alert_state=MAILED.to_json(),
    )
    async with database.begin() as session:
        session.add(group)
    return await stored(database, fingerprint)


async def stored(database: DatabaseEngine, fingerprint: str = "a" * 34) -> ErrorGroup:
    async with database.session(write=False) as session:
        query = select(ErrorGroup).where(ErrorGroup.fingerprint == fingerprint)
        return (await session.scalars(query)).one()


async def decide(
    database: DatabaseEngine, group: ErrorGroup, decision: Decision, *, who: str = "ann"
) -> None:
    """As somebody who sees `group` as it is there."""
    async with database.begin() as session:
        await triage.decide(session, group.id, decision, who=who, now=NOW, seen=version_of(group))


async def trail(database: DatabaseEngine, group: ErrorGroup) -> list[tuple[str, str, str]]:
    async with database.session(write=False) as session:
        acts = await triage.acts_of(session, group.id)
        return [(act.kind, act.who, act.text) for act in acts]


async def happen(
    database: DatabaseEngine, group: ErrorGroup, count: int = 1, *, release: str = ""
) -> Sequence[str]:
    """Count further occurrences now; returns the kinds of all mails of the group."""
    async with database.begin() as session:
        now = await database_now(session)
        row = await session.get_one(ErrorGroup, group.id)
        row.count += count
        row.last_seen = datetime.fromtimestamp(now, UTC)
        minute = await session.get(ErrorMinute, (group.id, int(now // 60), "alpha"))
        if minute is None:
            minute = ErrorMinute(group_id=group.id, minute=int(now // 60), host="alpha", count=0)
            session.add(minute)
        minute.count += count
        if release and await session.get(ErrorTag, (group.id, "release", release)) is None:
            tag = ErrorTag(group_id=group.id, name="release", value=release)
            tag.first_seen = tag.last_seen = now
            session.add(tag)
        await session.flush()
        await evaluation.evaluate(session, [row], {group.id: count}, RULES, now)
        await evaluation.wake(session, RULES, now + 1)
    async with database.session(write=False) as session:
        return (await session.scalars(select(ErrorAlert.kind).order_by(ErrorAlert.id))).all()


async def test_each_decision_has_its_row_and_raises_the_revision(database: DatabaseEngine) -> None:
    group = await add_group(database)
    for decision, state in (
        (triage.resolve(NOW), "resolved"),
        (triage.mute(more=50), "muted"),
        (triage.mute(), "muted"),
        (triage.reopen(), "new"),
        (triage.resolve_in_next("1.4", NOW), "resolved"),
        (triage.comment(" Looking into it.\r\nAnn "), "resolved"),
    ):
        await decide(database, group, decision)
        group = await stored(database)
        assert state_of(group, NOW) == state
    assert group.revision == 6
    assert await trail(database, group) == [
        ("comment", "ann", "Looking into it.\nAnn"),
        ("resolve_next", "ann", "in the release after 1.4"),
        ("reopen", "ann", ""),
        ("mute", "ann", "forever"),
        ("mute", "ann", "for 50 more"),
        ("resolve", "ann", ""),
    ]


@pytest.mark.parametrize(
    ("decision", "text"),
    [
        (triage.mute(until=0.0), "until 1970-01-01 00:00:00 UTC"),
        (triage.mute(more=0), "until it happens again"),
        (triage.mute(rate=1000), "until more than 1,000 in an hour"),
        (triage.mute(until=0.0, more=9), "until 1970-01-01 00:00:00 UTC or for 9 more"),
    ],
)
def test_a_mute_says_until_when(decision: Decision, text: str) -> None:
    assert decision.text == text


async def test_the_second_of_two_operators_is_shown_what_the_first_did(
    database: DatabaseEngine,
) -> None:
    group = await add_group(database)
    await decide(database, group, triage.mute(), who="ann")
    await decide(database, group, triage.comment("It is the supplier."), who="ann")
    with pytest.raises(ConflictError) as refused:
        await decide(database, group, triage.resolve(NOW), who="bob")
    assert [(act.who, act.kind) for act in refused.value.acts] == [
        ("ann", "comment"), ("ann", "mute"),
    ]  # fmt: skip
    group = await stored(database)
    assert state_of(group, NOW) == "muted"
    assert len(await trail(database, group)) == 2
    await decide(database, group, triage.resolve(NOW), who="bob")


async def test_of_many_at_once_one_is_carried_out(database: DatabaseEngine) -> None:
    group = await add_group(database)
    results = await asyncio.gather(
        *(decide(database, group, triage.resolve(NOW), who=str(each)) for each in range(4)),
        return_exceptions=True,
    )
    assert [type(each) for each in results if each] == [ConflictError] * 3
    assert (await stored(database)).revision == 1


async def test_a_comment_is_added_to_any_version(database: DatabaseEngine) -> None:
    group = await add_group(database)
    for who in ("ann", "bob"):
        await decide(database, group, triage.comment("Me too"), who=who)
    assert [who for _, who, _ in await trail(database, group)] == ["bob", "ann"]


async def test_a_form_for_a_deleted_group_does_not_reach_the_next_one(
    database: DatabaseEngine,
) -> None:
    group = await add_group(database)
    async with database.begin() as session:
        deleted = await triage.delete(session, group.id, seen=version_of(group))
        assert deleted.title == "KeyError"
    with pytest.raises(GroupNotFoundError):
        await decide(database, group, triage.resolve(NOW))
    other = await add_group(database, "b" * 34)
    async with database.begin() as session:
        assert (await session.get_one(ErrorGroup, other.id)).revision == group.revision
        with pytest.raises(ConflictError):
            await triage.decide(
                session, other.id, triage.resolve(NOW), who="x", now=NOW, seen=version_of(group)
            )


async def test_deleting_leaves_nothing_of_a_group(database: DatabaseEngine) -> None:
    group = await add_group(database)
    await happen(database, group, release="1")
    await decide(database, await stored(database), triage.comment("x"))
    values = {"report_id": "r", "reference": "", "release": "", "host": "", "report": "{}"}
    async with database.begin() as session:
        session.add(ErrorSample(group_id=group.id, seen_at=group.last_seen, **values))
    group = await stored(database)
    async with database.begin() as session:
        with pytest.raises(ConflictError):
            await triage.delete(session, group.id, seen="0-other")
        await triage.delete(session, group.id, seen=version_of(group))
    async with database.session(write=False) as session:
        for table in (ErrorGroup, ErrorSample, ErrorMinute, ErrorTag, ErrorAct, ErrorAlert):
            assert await session.scalar(select(func.count()).select_from(table)) == 0


@pytest.mark.parametrize("text", ["", " \r\n\t", "x" * 4001])
def test_a_comment_has_from_one_to_4000_characters(text: str) -> None:
    with pytest.raises(DecisionError):
        triage.comment(text)
    triage.comment("\N{SNAKE}" * 4000)


async def test_a_comment_of_any_script_is_stored_as_it_is(database: DatabaseEngine) -> None:
    group = await add_group(database)
    hostile = (
        "\u202egnp.exe \u200b\ufeff Ж 漢字 العربية \N{SNAKE} <script>alert(1)</script> a\u0301"
    )
    await decide(database, group, triage.comment(f"{hostile}\0\ud800"), who="\0\u202eann\n")
    assert await trail(database, group) == [("comment", "\ufffdann", f"{hostile}\ufffd\ufffd")]


async def test_many_groups_in_one_transaction(database: DatabaseEngine) -> None:
    groups = [await add_group(database, f"{number:034}") for number in range(25)]
    await decide(database, groups[3], triage.mute(), who="bob")
    seen: dict[int, str | None] = {group.id: version_of(group) for group in groups}
    async with database.begin() as session:
        outcome = await triage.decide_all(
            session, seen | {10**15: None}, triage.resolve(NOW), who="ann", now=NOW
        )
    assert len(outcome.done) == 24
    assert [group.id for group in outcome.conflicts] == [groups[3].id]
    assert outcome.missing == [10**15]
    assert state_of(await stored(database, f"{3:034}"), NOW) == "muted"
    assert state_of(await stored(database, f"{4:034}"), NOW) == "resolved"
    async with database.begin() as session:
        with pytest.raises(ValueError, match="at most 500"):
            await triage.decide_all(
                session, dict.fromkeys(range(501)), triage.reopen(), who="ann", now=NOW
            )


async def test_what_comes_back_is_regressed_and_mailed_until_it_is_resolved(
    database: DatabaseEngine,
) -> None:
    group = await add_group(database)
    await decide(database, group, triage.resolve(NOW))
    assert await happen(database, group) == [Kind.REGRESSION]
    group = await stored(database)
    assert state_of(group, NOW) == "regressed"
    assert (await trail(database, group))[0] == ("regressed", "", "")
    await decide(database, group, triage.mute(more=0))
    await happen(database, group)
    group = await stored(database)
    assert state_of(group, NOW) == "regressed", "a mute does not change that"
    assert (await trail(database, group))[0] == ("unmuted", "", "")
    await decide(database, group, triage.resolve(time.time()))
    assert (await stored(database)).regressed_at is None


async def test_who_looked_before_it_came_back_is_shown_that_it_did(
    database: DatabaseEngine,
) -> None:
    group = await add_group(database)
    await decide(database, group, triage.resolve(NOW))
    seen = await stored(database)
    await happen(database, group)
    with pytest.raises(ConflictError) as refused:
        await decide(database, seen, triage.resolve(NOW))
    assert [act.kind for act in refused.value.acts] == [ActKind.REGRESSED]


async def test_fixed_in_the_next_release(database: DatabaseEngine) -> None:
    group = await add_group(database)
    await happen(database, group, release="0.9")
    async with database.begin() as session:
        now = await database_now(session)
        session.add(ErrorRelease(name="0.8", at=now - 9, who=""))
        session.add(ErrorRelease(name="2.0", at=now + 9, who=""))
        await triage.decide(
            session, group.id, triage.resolve_in_next("1.0", now), who="ann", now=now
        )
    for release in ("1.0", "0.9", "0.8", ""):
        assert await happen(database, group, release=release) == [], release
    assert state_of(await stored(database), NOW) == "resolved"
    assert await happen(database, group, release="2.0") == [Kind.REGRESSION]
    group = await stored(database)
    assert state_of(group, NOW) == "regressed"
    assert group.resolved_release is None
    assert (await trail(database, group))[0] == ("regressed", "", "in release 2.0")


def test_without_a_release_there_is_no_next_one() -> None:
    with pytest.raises(DecisionError, match="set RELEASE"):
        triage.resolve_in_next("", NOW)


async def test_a_mute_by_rate_counts_the_minutes_of_an_hour(database: DatabaseEngine) -> None:
    group = await add_group(database)
    await happen(database, group, 25)
    async with database.begin() as session:
        await session.merge(
            ErrorMinute(group_id=group.id, minute=int(NOW // 60) - 65, host="alpha", count=100)
        )
    await decide(database, await stored(database), triage.mute(rate=5))
    await happen(database, group, 5)
    assert state_of(await stored(database), NOW) == "muted"
    assert (await happen(database, group))[-1] == Kind.UNMUTED
    assert (await stored(database)).muted_rate is None


async def test_muted_groups_are_those_that_are_silent_now(
    database: DatabaseEngine, session: AsyncSession
) -> None:
    for name, decision in {
        "a": triage.mute(),
        "b": triage.mute(until=NOW - 1),
        "c": triage.mute(rate=3),
        "d": triage.resolve(NOW),
    }.items():
        await decide(database, await add_group(database, name), decision)
    assert await triage.muted_groups(session, NOW) == {"a", "c"}
