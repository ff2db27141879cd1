"""What a restored database counts of a journal that went on without it."""

from pathlib import Path

import pytest
from sqlalchemy import func, select

from quartapp.database import DatabaseEngine
from quartapp.database.backups import sqlite
from quartapp.database.backups.files import Deadline
from quartapp.reporting.alerts.evaluation import Rules
from quartapp.reporting.alerts.policy import Limits
from quartapp.reporting.counting.consumer import Consumer
from quartapp.reporting.journal.entries import Tick
from quartapp.reporting.journal.writer import Journal
from quartapp.reporting.tables import ErrorGroup


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'errors.db'}"


def write(journal: Journal, number: int) -> None:
    assert journal.append(Tick("a", 1_900_000_000, number).encode())


async def counted(journal: Journal, database: DatabaseEngine) -> int:
    """Count what a server would count after its start; returns the number in the database."""
    await Consumer(journal, database, Rules(host="alpha", limits=Limits(), mails=True)).consume()
    async with database.session(write=False) as session:
        return int(await session.scalar(select(func.sum(ErrorGroup.count))) or 0)


async def test_nothing_is_counted_twice_and_only_deleted_segments_are_missing(
    database: DatabaseEngine, tmp_path: Path
) -> None:
    file, backup = tmp_path / "errors.db", tmp_path / "backup.sqlite"
    open_journal, ended = (Journal(tmp_path / "journal", segment_bytes=16384) for _ in range(2))
    write(open_journal, 1)
    write(ended, 10)
    assert await counted(open_journal, database) == 1  # the other's segment is its own to count
    sqlite.back_up(file, backup, Deadline(10), lambda remaining, total: None)

    write(open_journal, 100)
    write(ended, 1000)
    ended.close()
    assert await counted(open_journal, database) == 1111
    write(open_journal, 10000)  # not counted when the server stops
    await database.dispose()
    _, kept = sqlite.restore(backup, file, Deadline(10), lambda *found: None, replace=True)

    # The restored database continues where it was when the backup was made. What had been counted
    # from the segment that was deleted since, 1010, is in the replaced database alone.
    assert await counted(open_journal, database) == 1 + 100 + 10000

    await database.dispose()
    assert kept is not None
    sqlite.restore(kept, file, Deadline(10), lambda *found: None, replace=True)
    assert await counted(open_journal, database) == 1111 + 10000
    open_journal.close()
