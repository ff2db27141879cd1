"""Backups under load, short (`make keep` has clients of a server, and calls the commands)."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import insert
from sqlalchemy.engine import make_url

from quartapp.database import DatabaseEngine
from quartapp.database.backups import postgresql, sqlite
from quartapp.database.backups.files import Deadline
from quartapp.microblog.models import Post
from tests.conftest import new_postgresql
from tests.system.keep.run import add_author, run

SECONDS = 0.6


async def check(folder: Path, url: str, restored_url: str) -> None:
    await add_author(url)
    database = DatabaseEngine(url)
    source, target = make_url(url), make_url(restored_url)

    async def write(text: str) -> None:
        await database.write(insert(Post), body=text, user_id=1)

    def back_up(file: Path) -> None:
        if database.is_sqlite:
            sqlite.back_up(Path(source.database or ""), file, Deadline(9), lambda left, all: None)
        else:
            postgresql.back_up(source, file, Deadline(9))

    def restore(file: Path) -> None:
        def accept(*_found: object) -> None:
            pass

        if database.is_sqlite:
            place = Path(target.database or "")
            sqlite.restore(file, place, Deadline(9), accept, replace=True)
        else:
            postgresql.restore(file, target, Deadline(9), accept, replace=True)

    outcome = await run(
        folder,
        url,
        restored_url,
        SECONDS,
        write,
        lambda file: asyncio.to_thread(back_up, file),
        lambda file: asyncio.to_thread(restore, file),
    )
    await database.dispose()
    assert outcome.faults == []
    assert outcome.backups
    assert outcome.written > 10


async def test_backups_of_sqlite_have_all_that_was_acknowledged(tmp_path: Path) -> None:
    urls = [f"sqlite:///{tmp_path / name}.db" for name in ("app", "restored")]
    await check(tmp_path, *urls)


@pytest.mark.postgresql
async def test_backups_of_postgresql_have_all_that_was_acknowledged(tmp_path: Path) -> None:
    async with new_postgresql() as url, new_postgresql() as restored_url:
        await check(tmp_path, url, restored_url)
