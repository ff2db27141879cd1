"""From the journal into the tables: counts are exact whatever fails, on both engines."""

import asyncio
import errno
import json
import os
import shutil
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database import DatabaseEngine
from quartapp.database.dialect import database_now
from quartapp.reporting.alerts import evaluation
from quartapp.reporting.alerts.evaluation import Rules
from quartapp.reporting.alerts.policy import Limits
from quartapp.reporting.counting import consumer as consumer_module
from quartapp.reporting.counting import store
from quartapp.reporting.counting.aggregate import Aggregate
from quartapp.reporting.counting.consumer import Consumer
from quartapp.reporting.journal.entries import UNKNOWN, Brief, Feedback, Tick
from quartapp.reporting.journal.segments import Reading, list_segments
from quartapp.reporting.journal.writer import Journal
from quartapp.reporting.queries import triage
from quartapp.reporting.report import Origin, Report
from quartapp.reporting.retention import Keep, prune
from quartapp.reporting.tables import (
    ErrorAlert,
    ErrorFeedback,
    ErrorGroup,
    ErrorMinute,
    ErrorSample,
    ErrorSegment,
)

NOW = 1_900_000_000.0
RULES = Rules(host="alpha", limits=Limits(), mails=True)


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal", segment_bytes=16384)


@pytest.fixture
def consumer(journal: Journal, database: DatabaseEngine) -> Consumer:
    return Consumer(journal, database, RULES)


def report(number: int, group: str = "a", **values: object) -> Report:
    defaults: dict[str, object] = {
        "id": f"{group}-{number}",
        "fingerprint": group,
        "time": NOW + number,
        "title": f"KeyError {group}",
        "culprit": "web.posts",
        "origin": Origin(release="v1", host="alpha"),
    }
    return Report(**(defaults | values))  # type: ignore[arg-type]  # the fields, by name


def write(journal: Journal, *entries: Report | Brief | Tick) -> None:
    for entry in entries:
        payload = entry.encode()
        assert journal.append(payload)


async def counts(session: AsyncSession) -> dict[str, int]:
    rows = await session.execute(select(ErrorGroup.fingerprint, ErrorGroup.count))
    found = {str(fingerprint): int(count) for fingerprint, count in rows}
    await session.rollback()
    return found


async def test_counts_reports_briefs_and_ticks(
    journal: Journal, consumer: Consumer, session: AsyncSession
) -> None:
    write(
        journal, report(0), report(1), Tick("a", int(NOW) + 90, 5), Brief("b", int(NOW), "T", "c")
    )
    assert await consumer.consume() == 8
    assert await consumer.consume() == 0
    a, b = (await session.scalars(select(ErrorGroup).order_by(ErrorGroup.fingerprint))).all()
    assert (a.count, a.title, a.culprit) == (7, "KeyError a", "web.posts")
    assert (a.last_seen - a.first_seen).total_seconds() == 90
    assert (b.count, b.title, b.culprit) == (1, "T", "c")
    minutes = select(ErrorMinute.count).where(ErrorMinute.group_id == a.id)
    assert (await session.scalars(minutes.order_by(ErrorMinute.minute))).all() == [2, 5]


async def test_adds_to_what_is_counted_already(
    journal: Journal, consumer: Consumer, session: AsyncSession
) -> None:
    write(journal, Tick("a", int(NOW)))
    await consumer.consume()
    write(journal, report(5), Tick("a", int(NOW) - 60, 2))
    await consumer.consume()
    group = (await session.scalars(select(ErrorGroup))).one()
    assert (group.count, group.title) == (4, "KeyError a")
    assert (group.last_seen - group.first_seen).total_seconds() == 65


async def test_keeps_the_first_and_the_last_ten_samples(
    journal: Journal, consumer: Consumer, session: AsyncSession
) -> None:
    for start in (0, 7, 14, 21):
        write(journal, *(report(number) for number in range(start, start + 7)))
        await consumer.consume()
    kept = await session.scalars(select(ErrorSample.report_id).order_by(ErrorSample.id))
    assert kept.all() == ["a-0", *(f"a-{number}" for number in range(18, 28))]


@pytest.mark.slow
async def test_puts_down_one_alert_after_the_gathering(
    journal: Journal, consumer: Consumer, session: AsyncSession, database: DatabaseEngine
) -> None:
    write(journal, report(0), Tick("a", int(NOW), 30))
    await consumer.consume()
    await consumer.wake()
    assert await session.scalar(select(func.count(ErrorAlert.id))) == 0
    await session.rollback()
    async with database.begin() as writer:
        later = await database_now(writer) + 11
        await evaluation.wake(writer, RULES, later)
        await evaluation.wake(writer, RULES, later)
    alert = (await session.scalars(select(ErrorAlert))).one()
    assert (alert.kind, alert.count, alert.state) == ("new", 31, "waiting")


async def test_the_release_of_an_occurrence_decides_whether_it_is_a_regression(
    journal: Journal, consumer: Consumer, session: AsyncSession, database: DatabaseEngine
) -> None:
    async def state() -> tuple[bool, bool]:
        group = (await session.scalars(select(ErrorGroup))).one()
        found = group.resolved_at is not None, group.regressed_at is not None
        session.expunge_all()
        await session.rollback()
        return found

    write(journal, report(0))
    await consumer.consume()
    async with database.begin() as writer:
        now = await database_now(writer)
        await triage.decide(writer, 1, triage.resolve_in_next("v1", now), who="ann", now=now)
    write(journal, report(1), Tick("a", int(NOW) + 2, 50))
    await consumer.consume()
    assert await state() == (True, False)
    write(journal, report(3, origin=Origin(release="v2", host="alpha")), Tick("a", int(NOW) + 4))
    await consumer.consume()
    assert await state() == (False, True)


async def test_a_clock_that_was_set_back_keeps_no_alert_waiting(
    journal: Journal, consumer: Consumer, session: AsyncSession, database: DatabaseEngine
) -> None:
    write(journal, report(0))
    await consumer.consume()
    async with database.begin() as writer:
        group = (await writer.scalars(select(ErrorGroup))).one()
        assert group.wake_at
        assert group.alert_state
        tomorrow = group.wake_at + 86400
        group.alert_state = group.alert_state.replace(
            f'"waiting_since":{group.wake_at - 10}', f'"waiting_since":{tomorrow - 10}'
        )
        group.wake_at = tomorrow
    await consumer.wake()
    assert await session.scalar(select(func.count(ErrorAlert.id))) == 1


async def test_puts_down_none_while_mails_are_off(
    journal: Journal, database: DatabaseEngine, session: AsyncSession
) -> None:
    quiet = Rules(host="alpha", limits=Limits(initial_delay=0.0), mails=False)
    write(journal, report(0))
    await Consumer(journal, database, quiet).consume()
    async with database.begin() as writer:
        await evaluation.wake(writer, RULES, await database_now(writer) + 3600)
    assert await session.scalar(select(func.count(ErrorAlert.id))) == 0


async def test_finishes_and_removes_what_others_left(
    journal: Journal, consumer: Consumer, session: AsyncSession
) -> None:
    other = Journal(journal.folder, segment_bytes=16384)
    write(other, *(Tick("a", int(NOW)) for _ in range(1000)))
    assert (
        await consumer.consume() < 1000
    )  # the owner is running, and counts its last segment itself
    other.close()
    await consumer.consume()
    assert await counts(session) == {"a": 1000}
    assert list_segments(journal.folder) == []


async def test_looks_after_living_ones_that_do_not_count(
    journal: Journal, consumer: Consumer, session: AsyncSession
) -> None:
    other = Journal(journal.folder, segment_bytes=16384)
    write(other, Tick("a", int(NOW)))
    assert await consumer.consume() == 0
    consumer._others_at = 0.0
    assert await consumer.consume() == 1


async def test_two_consumers_count_the_same_once(
    journal: Journal, database: DatabaseEngine, session: AsyncSession
) -> None:
    write(journal, *(Tick("a", int(NOW)) for _ in range(100)))
    consumers = [Consumer(journal, database, RULES) for _ in range(4)]
    assert sum(await asyncio.gather(*(consumer.consume() for consumer in consumers))) == 100
    assert await counts(session) == {"a": 100}


async def test_who_read_a_segment_before_it_was_removed_counts_nothing_of_it(
    journal: Journal, consumer: Consumer, database: DatabaseEngine, session: AsyncSession
) -> None:
    write(journal, *(Tick("a", int(NOW)) for _ in range(100)))
    journal.close()
    late = Consumer(journal, database, RULES)
    with ExitStack() as held:
        path = list_segments(journal.folder)[0]
        found = late._look(held, path, 0, others=False)
        held.close()  # it was stopped for a while, and the other process got its lock
        assert await consumer.consume() == 100
        assert list_segments(journal.folder) == []
        assert found
        assert not await late._count(found)
    assert await counts(session) == {"a": 100}


async def test_a_segment_that_comes_back_is_not_counted_again(
    journal: Journal, consumer: Consumer, session: AsyncSession
) -> None:
    write(journal, Tick("a", int(NOW), 100))
    journal.close()
    copies = {path: path.read_bytes() for path in list_segments(journal.folder)}
    assert await consumer.consume() == 100
    for path, data in copies.items():  # from a backup
        path.write_bytes(data)
    assert await consumer.consume() == 0
    assert list_segments(journal.folder) == []
    assert await counts(session) == {"a": 100}


async def test_pruning_forgets_no_segment_that_is_still_written(
    journal: Journal, consumer: Consumer, database: DatabaseEngine, session: AsyncSession
) -> None:
    done = Journal(journal.folder, segment_bytes=16384)
    for each in (journal, done):
        write(each, Tick("a", int(NOW)))
    done.close()
    await consumer.consume()
    async with database.session() as writer:
        await writer.execute(update(ErrorSegment).values(updated_at=0.0))  # months ago
        await writer.execute(update(ErrorGroup).values(last_seen=datetime.now(UTC)))
        await writer.commit()
    await prune(database, Keep(), days=1)
    names = (await session.scalars(select(ErrorSegment.name))).all()
    assert names == [journal.segment_name]
    await session.rollback()
    assert await consumer.consume() == 0
    assert await counts(session) == {"a": 2}


async def test_a_failure_in_the_middle_counts_nothing(
    journal: Journal, consumer: Consumer, session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(journal, report(0), Tick("a", int(NOW)))
    keep_samples = store._keep_samples

    async def disconnected(*_: object) -> None:
        raise OperationalError("INSERT", {}, Exception("server closed the connection"))

    monkeypatch.setattr(store, "_keep_samples", disconnected)
    for _ in range(5):
        with pytest.raises(OperationalError):
            await consumer.consume()
    assert await counts(session) == {}
    monkeypatch.setattr(store, "_keep_samples", keep_samples)
    assert await consumer.consume() == 2
    assert await counts(session) == {"a": 2}


async def test_an_answer_lost_after_the_commit_counts_nothing_twice(
    journal: Journal, consumer: Consumer, session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(journal, Tick("a", int(NOW), 3))
    commit = AsyncSession.commit

    async def commit_and_disconnect(self: AsyncSession) -> None:
        await commit(self)
        raise OperationalError("COMMIT", {}, Exception("connection was closed"))

    original = store.count

    async def count_and_commit(session: AsyncSession, *rest: object) -> None:
        await original(session, *rest)  # type: ignore[arg-type]  # handed on
        await commit_and_disconnect(session)

    monkeypatch.setattr(store, "count", count_and_commit)
    with pytest.raises(OperationalError):
        await consumer.consume()
    monkeypatch.setattr(store, "count", original)
    assert await consumer.consume() == 0
    assert await counts(session) == {"a": 3}


async def test_a_poisoned_report_is_counted_without_its_details(
    journal: Journal, consumer: Consumer, session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample_row = store._sample_row

    def poisoned(report: Report, group_id: int) -> dict[str, object]:
        row = sample_row(report, group_id)
        return row | {"seen_at": "no moment"} if report.fingerprint == "poison" else row

    monkeypatch.setattr(store, "_sample_row", poisoned)
    write(journal, report(0, "a"), report(0, "poison"), report(0, "z"))
    for _ in range(3):
        with pytest.raises(Exception, match=r"moment|str"):
            await consumer.consume()
    assert await consumer.consume() == 3
    assert await counts(session) == {"a": 1, "poison": 1, "z": 1}
    assert await session.scalar(select(func.count(ErrorSample.id))) == 2


async def test_a_segment_that_cannot_be_read_keeps_no_other_waiting(
    journal: Journal, consumer: Consumer, session: AsyncSession, caplog: pytest.LogCaptureFixture
) -> None:
    journal.folder.mkdir()
    loop = journal.folder / "0.journal"
    loop.symlink_to(loop)  # unreadable even for root, like a file of root's for others
    write(journal, Tick("a", int(NOW)))
    assert await consumer.consume() == 1
    await consumer.consume()
    assert await counts(session) == {"a": 1}
    assert caplog.text.count("0.journal") == 1


async def test_a_segment_that_cannot_be_removed_is_counted_once(
    journal: Journal, consumer: Consumer, session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: Reading) -> None:
        raise PermissionError("a file system that became read-only")

    monkeypatch.setattr(Reading, "remove", refused)
    write(journal, Tick("a", int(NOW)))
    journal.close()
    write(journal, Tick("b", int(NOW)))
    assert [await consumer.consume(), await consumer.consume()] == [2, 0]
    assert await counts(session) == {"a": 1, "b": 1}


async def test_a_poisoned_segment_keeps_no_other_waiting(
    journal: Journal, consumer: Consumer, session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = consumer_module.__dict__["aggregate"]

    def poisoned(payloads: list[bytes], now: float) -> list[Aggregate]:
        if any(b"poison" in payload for payload in payloads):
            raise RuntimeError("nobody thought of this")
        found: list[Aggregate] = original(payloads, now)
        return found

    monkeypatch.setattr(consumer_module, "aggregate", poisoned)
    write(journal, Tick("poison", int(NOW)))
    journal.close()
    write(journal, Tick("a", int(NOW)))
    with pytest.raises(RuntimeError):
        await consumer.consume()
    assert await counts(session) == {"a": 1}


async def test_a_backlog_is_counted_in_several_rounds(journal: Journal, consumer: Consumer) -> None:
    for _ in range(3):
        write(journal, Tick("a", int(NOW)))
        journal.close()
    rounds = 0
    while list_segments(journal.folder):
        assert await consumer.consume(seconds=0) <= 1
        rounds += 1
    assert rounds >= 3


async def test_lines_that_are_no_entries_are_counted_as_such(
    journal: Journal, consumer: Consumer, session: AsyncSession
) -> None:
    assert journal.append(b'{"format":99}')
    assert journal.append(b'["a",1]')
    write(journal, report(0))
    await consumer.consume()
    assert await counts(session) == {UNKNOWN: 2, "a": 1}


async def test_corrupt_pieces_are_counted(
    journal: Journal, consumer: Consumer, session: AsyncSession
) -> None:
    write(journal, Tick("a", int(NOW)), Tick("a", int(NOW)), Tick("a", int(NOW)))
    journal.close()
    path = list_segments(journal.folder)[0]
    data = bytearray(path.read_bytes())
    data[80] ^= 1
    path.write_bytes(data)
    assert await consumer.consume() == 2
    assert await session.scalar(select(func.sum(ErrorSegment.corrupt))) == 1


async def test_before_the_migration_the_journal_holds(
    journal: Journal, consumer: Consumer, session: AsyncSession, database: DatabaseEngine
) -> None:
    write(journal, Tick("a", int(NOW)))
    async with database.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE error_groups RENAME TO elsewhere"))
    for _ in range(5):
        with pytest.raises(consumer_module._AWAY):
            await consumer.consume()
    assert consumer._failures == {}  # nothing is wrong with the journal
    async with database.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE elsewhere RENAME TO error_groups"))
    assert await consumer.consume() == 1


@pytest.mark.slow
async def test_many_groups_at_once(
    journal: Journal, consumer: Consumer, session: AsyncSession
) -> None:
    write(journal, *(Brief(f"group {n}", int(NOW), "T", "c") for n in range(1500)))
    while await consumer.consume():
        pass
    assert sum((await counts(session)).values()) == 1500


async def test_full_segments_that_were_removed_before_they_were_counted_are_put_back(
    journal: Journal, consumer: Consumer, session: AsyncSession, caplog: pytest.LogCaptureFixture
) -> None:
    write(journal, Tick("a", int(NOW)))
    await consumer.consume()
    write(journal, *(report(number) for number in range(200)))
    full = len(list_segments(journal.folder)) - 2
    assert full > 1
    shutil.rmtree(journal.folder)
    for _ in range(3):  # as a server does every second
        journal.write_waiting()
        await consumer.consume()
    assert (await counts(session)) == {"a": 201}
    assert caplog.text.count("it was put back") == full


@pytest.mark.parametrize("fsync", [True, False])
async def test_what_survives_a_power_failure_is_synced_before_and_after_its_removal(
    database: DatabaseEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fsync: bool
) -> None:
    journal = Journal(tmp_path / "journal", fsync=fsync)
    write(journal, report(0))
    journal.close()
    calls: list[str] = []
    sync, remove = os.fsync, Reading.remove

    def noted_sync(handle: int) -> None:
        calls.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name)
        sync(handle)

    def noted_remove(reading: Reading) -> None:
        calls.append("remove")
        remove(reading)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Reading, "remove", noted_remove)
    assert await Consumer(journal, database, RULES).consume() == 1
    before = ["test.db-wal"] if database.is_sqlite else []
    spare = ["remove"]  # nothing was in it
    assert calls == ([*before, "remove", "journal", *spare] if fsync else ["remove", *spare])


async def test_a_segment_stays_if_its_counts_could_not_be_synced(
    database: DatabaseEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "journal", fsync=True)
    write(journal, report(0))
    journal.close()

    def fail(_: DatabaseEngine) -> None:
        raise OSError(errno.EIO, "Input/output error")

    consumer = Consumer(journal, database, RULES)
    with monkeypatch.context() as patch:
        patch.setattr(DatabaseEngine, "sync", fail)
        assert await consumer.consume() == 1
    assert await consumer.consume() == 0  # although the next sync would succeed
    assert len(list_segments(journal.folder)) == 1


async def test_the_tail_of_a_segment_is_counted_after_a_copy_of_it_was_finished(
    journal: Journal, consumer: Consumer, database: DatabaseEngine, session: AsyncSession
) -> None:
    write(journal, Tick("a", int(NOW)))
    moved = journal.folder.with_name("moved")
    journal.folder.rename(moved)
    shutil.copytree(moved, journal.folder)
    await Consumer(Journal(journal.folder), database, RULES).consume()
    write(journal, Tick("a", int(NOW)))
    journal.write_waiting()
    await consumer.consume()
    assert (await counts(session)) == {"a": 2}


async def test_full_segments_that_another_process_counted_are_not_put_back(
    journal: Journal, consumer: Consumer, database: DatabaseEngine, session: AsyncSession
) -> None:
    write(journal, *(report(number) for number in range(200)))
    other = Consumer(Journal(journal.folder), database, RULES)
    await other.consume()
    assert journal.missing()
    while await consumer.consume():
        pass
    assert not journal.missing()
    assert (await counts(session)) == {"a": 200}
    assert len(list_segments(journal.folder)) == 2


@pytest.mark.parametrize(
    "line",
    [
        b'["a",99999999999999999999,1]',
        b'["a",-1,1]',
        b'["a",1,99999999999999999999]',
        b'["a",1,-1]',
        b'["\\u0000",1,1]',
        b'["' + b"a" * 41 + b'",1,1]',
        b'["a",1,1,"\\ud800","c"]',
        b'["a",1,1,{},[]]',
        b"[" * 15_000,
        Report("1", "a", 1e300, "t").encode(),
        b'{"id":"1","fingerprint":"a","time":NaN,"title":"t"}',
    ],
    ids=lambda line: line[:20].decode(),
)
async def test_a_whole_line_that_makes_no_sense_keeps_nothing_waiting(
    line: bytes,
    journal: Journal,
    consumer: Consumer,
    session: AsyncSession,
    caplog: pytest.LogCaptureFixture,
) -> None:
    journal.append(line)
    write(journal, Tick("b", int(NOW)))
    assert await consumer.consume() == 2
    assert (await counts(session)) == {"b": 1, UNKNOWN: 1}
    [kept] = (journal.folder / "aside").iterdir()
    assert line in kept.read_bytes()
    assert caplog.text.count("1 lines of the journal are not entries") == 1


async def test_what_people_write_is_stored_once_and_joins_its_error(
    journal: Journal, consumer: Consumer, database: DatabaseEngine, session: AsyncSession
) -> None:
    unstorable = ["a\0b", "\ud800", "x" * 5000, 7]
    for written in unstorable:  # by no process of ours
        assert journal.append(json.dumps(["feedback", int(NOW), "abcdefgh", written]).encode())
    assert journal.append(Feedback("abcdefgh", int(NOW), "I pressed <Buy> 'twice'").encode())
    write(journal, report(0, reference="abcdefgh"))
    rivals = [consumer, Consumer(journal, database, RULES)]
    assert sum([await rival.consume() for rival in rivals]) == 1
    assert await counts(session) == {"a": 1}
    [row] = await session.scalars(select(ErrorFeedback))
    assert (row.reference, row.at, row.text) == ("abcdefgh", NOW, "I pressed <Buy> 'twice'")
    assert row.group_id is not None
