"""A new rule of grouping moves no counts, and floods nobody."""

import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database import DatabaseEngine
from quartapp.redact.places import Places
from quartapp.redact.scrub import Scrubber
from quartapp.reporting.alerts import evaluation
from quartapp.reporting.alerts.evaluation import Rules
from quartapp.reporting.alerts.policy import Limits
from quartapp.reporting.capture import fingerprint as fingerprints
from quartapp.reporting.counting.consumer import Consumer
from quartapp.reporting.journal.entries import Brief, decode
from quartapp.reporting.journal.writer import Journal
from quartapp.reporting.queries import triage
from quartapp.reporting.queries.listing import state_of
from quartapp.reporting.recorder import Recorder
from quartapp.reporting.report import Origin
from quartapp.reporting.tables import ErrorAct, ErrorAlert, ErrorGroup

RULES = Rules(host="alpha", limits=Limits(initial_delay=0), mails=True)


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


class Release:
    """A release of an application that raises the same errors as the one before."""

    def __init__(self, name: str, folder: Path, database: DatabaseEngine) -> None:
        self.database = database
        self.journal = Journal(folder / f"journal-{name}")
        self.recorder = Recorder(
            self.journal,
            places=Places(Path(__file__).parent, name="shop"),
            origin=lambda: Origin(release=name),
            scrubber=Scrubber(),
        )
        self.consumer = Consumer(self.journal, database, RULES)

    async def fail(self, times: int = 1, *, supplier: str | None = None) -> None:
        for _ in range(times):
            try:
                raise LookupError("nothing here")
            except LookupError as error:
                if supplier is not None:
                    error.__fingerprint__ = f"supplier {supplier}"  # type: ignore[attr-defined]  # documented
                self.recorder.record(error)
        await self.consumer.consume()
        async with self.database.begin() as session:
            await evaluation.wake(session, RULES, time.time() + 1)

    async def decide(self, group: ErrorGroup, decision: triage.Decision) -> None:
        async with self.database.begin() as session:
            await triage.decide(session, group.id, decision, who="ann", now=time.time())


@pytest.fixture
def before(tmp_path: Path, database: DatabaseEngine) -> Release:
    return Release("1", tmp_path, database)


@pytest.fixture
def after(tmp_path: Path, database: DatabaseEngine) -> Release:
    return Release("2", tmp_path, database)


@pytest.fixture
def new_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on errors are grouped by their type alone."""

    def by_type(subject: fingerprints.Subject, _: Places) -> Iterable[str]:
        return [type(subject).__name__]

    monkeypatch.setattr(fingerprints, "RULES", {**fingerprints.RULES, 2: by_type})
    monkeypatch.setattr(fingerprints, "VERSION", 2)
    monkeypatch.setattr("quartapp.reporting.counting.regrouping.VERSION", 2)


async def groups(session: AsyncSession) -> list[ErrorGroup]:
    found = list((await session.scalars(select(ErrorGroup).order_by(ErrorGroup.id))).all())
    session.expunge_all()
    await session.rollback()
    return found


async def mails(session: AsyncSession) -> list[tuple[int, str]]:
    query = select(ErrorAlert.group_id, ErrorAlert.kind).order_by(ErrorAlert.id)
    found = [(group_id, kind) for group_id, kind in await session.execute(query)]
    await session.rollback()
    return found


async def test_a_new_rule_moves_no_counts_and_mails_nothing_again(
    tmp_path: Path,
    before: Release,
    after: Release,
    session: AsyncSession,
    request: pytest.FixtureRequest,
) -> None:
    await before.fail(15)
    [old] = await groups(session)
    assert await mails(session) == [(old.id, "new")]
    request.getfixturevalue("new_rule")
    await after.fail(9)
    former, new = await groups(session)
    assert (former.fingerprint, former.count) == (old.fingerprint, 15)
    assert new.fingerprint.endswith("-2")
    assert (new.count, new.revision) == (9, 1)
    assert await mails(session) == [(old.id, "new")]
    act = (await session.scalars(select(ErrorAct))).one()
    assert (act.group_id, act.kind, act.who, act.text) == (
        new.id, "regrouped", "", old.fingerprint,
    )  # fmt: skip
    await session.rollback()  # to read what is new
    await before.decide(new, triage.mute())
    await Release("3", tmp_path, before.database).fail(5)
    _, new = await groups(session)
    assert (new.count, state_of(new, time.time())) == (14, "muted"), "it inherits once"


async def test_a_new_group_inherits_what_was_decided(
    before: Release,
    after: Release,
    session: AsyncSession,
    request: pytest.FixtureRequest,
) -> None:
    await before.fail()
    [old] = await groups(session)
    await before.decide(old, triage.mute(rate=50))
    request.getfixturevalue("new_rule")
    await after.fail()
    _, new = await groups(session)
    assert state_of(new, time.time()) == "muted"
    assert (new.muted_rate, new.muted_more) == (50, 49)
    assert await mails(session) == [(old.id, "new")]


async def test_what_was_resolved_regresses_in_its_new_group(
    before: Release,
    after: Release,
    session: AsyncSession,
    request: pytest.FixtureRequest,
) -> None:
    await before.fail()
    [old] = await groups(session)
    await before.decide(old, triage.resolve_in_next("1", time.time()))
    request.getfixturevalue("new_rule")
    await after.fail()
    former, new = await groups(session)
    assert state_of(former, time.time()) == "resolved"
    assert state_of(new, time.time()) == "regressed"
    assert await mails(session) == [(old.id, "new"), (new.id, "regression")]


async def test_an_application_may_bring_a_rule_of_its_own(
    before: Release, after: Release, session: AsyncSession
) -> None:
    await before.fail()
    [old] = await groups(session)
    await before.decide(old, triage.mute())
    await after.fail(supplier="a")
    await after.fail(supplier="b")
    assert [state_of(group, time.time()) for group in await groups(session)] == ["muted"] * 3


async def test_a_group_beside_that_of_the_rule_inherits_nothing(
    before: Release, session: AsyncSession
) -> None:
    await before.fail()
    [old] = await groups(session)
    await before.decide(old, triage.mute())
    await before.fail(supplier="a")
    _, chosen = await groups(session)
    assert state_of(chosen, time.time()) == "new", "errors of both kinds occur in one release"
    assert (chosen.id, "new") in await mails(session)


def test_the_former_names_of_a_group(new_rule: None, tmp_path: Path) -> None:
    places = Places(tmp_path, name="shop")
    error = LookupError("x")
    [first] = fingerprints.former_fingerprints(error, places)
    assert first.endswith("-1")
    assert fingerprints.fingerprint(error, places).endswith("-2")
    plain = fingerprints.fingerprint(error, places)
    error.__former_fingerprint__ = "b"  # type: ignore[attr-defined]  # documented
    assert len(fingerprints.former_fingerprints(error, places)) == 2
    error.__fingerprint__ = "a"  # type: ignore[attr-defined]  # documented
    chosen, by_this, by_first = fingerprints.former_fingerprints(error, places)
    assert (by_this, by_first) == (plain, first)
    assert chosen.endswith("-1")
    error.__fingerprint__ = "b"  # type: ignore[attr-defined]  # documented
    assert fingerprints.fingerprint(error, places) == chosen


def test_former_names_are_read_without_running_code(tmp_path: Path) -> None:
    class ChosenError(Exception):
        __fingerprint__ = "of the class"

    class HostileError(Exception):
        @property
        def __former_fingerprint__(self) -> str:
            raise SystemExit

        @property
        def __dict__(self) -> dict[str, object]:  # type: ignore[override]  # hostile
            raise SystemExit

    places = Places(tmp_path, name="shop")
    [by_rule] = fingerprints.former_fingerprints(ChosenError(), places)
    assert by_rule != fingerprints.fingerprint(ChosenError(), places)
    assert fingerprints.former_fingerprints(HostileError(), places) == ()
    assert fingerprints.former_fingerprints(LookupError(), places) == ()


def test_a_brief_entry_has_the_former_names() -> None:
    for reference in ("", "abcdefgh"):
        brief = Brief("a", 1, "T", "c", 1, reference, former=("b-1", "c-1"))
        assert decode(brief.encode()) == brief
    for former in ('"a\\u0000b"', "1", '"' + "x" * 99 + '"'):
        with pytest.raises(ValueError):
            decode(f'["a",1,1,"T","c","",{former}]'.encode())
