"""Databases with the same people and posts for every server, and a token for the API."""

import asyncio
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from sqlalchemy import select, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.servers import ROOT, SECRET_KEY
from quartapp.database import DatabaseEngine
from quartapp.microblog.models import User
from quartapp.microblog.models.token import issue_token


@contextmanager
def prepared(kind: str, people: int = 1000, posts: int = 50_000) -> Iterator[tuple[str, str]]:
    """The address of a new database of this kind, and a token; it is dropped at the end."""
    with created(kind) as url:
        seed(url, people, posts)
        yield url, asyncio.run(_token(url))


def created(kind: str) -> AbstractContextManager[str]:
    """The address of a new, empty database, which is dropped at the end."""
    return _sqlite() if kind == "sqlite" else _postgresql()


@contextmanager
def _sqlite() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="quartapp-bench-")
    try:
        yield f"sqlite:///{folder}/bench.db"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def admin_address() -> str:
    """The address of a PostgreSQL server on which databases may be created, or ""."""
    return os.environ.get("QUARTAPP_TEST_POSTGRESQL", "")


@contextmanager
def _postgresql() -> Iterator[str]:
    admin = make_url(admin_address())
    name = f"quartapp_bench_{secrets.token_hex(4)}"
    asyncio.run(_execute(f'CREATE DATABASE "{name}"'))
    try:
        yield admin.set(drivername="postgresql", database=name).render_as_string(False)
    finally:
        asyncio.run(_execute(f'DROP DATABASE "{name}" WITH (FORCE)'))


async def _execute(statement: str) -> None:
    address = make_url(admin_address()).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(address, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(statement))
    await engine.dispose()


def seed(
    url: str, people: int, posts: int, root: Path = ROOT, python: str = sys.executable
) -> None:
    """Migrate and fill a database with the code of a checkout."""
    environment = os.environ | {"DATABASE_URL": url, "SECRET_KEY": SECRET_KEY}
    environment |= {"PYTHONPATH": str(root)}
    fill = ["quart", "--app", "quartapp", "seed", "--people", str(people), "--posts", str(posts)]
    for command in (["alembic", "upgrade", "head"], fill):
        subprocess.run(
            [python, "-m", *command], cwd=root, env=environment, check=True, capture_output=True
        )


async def _token(url: str) -> str:
    database = DatabaseEngine(url)
    async with database.session() as session:
        susan = await session.scalar(select(User.id).where(User.username == "susan"))
        issued = await issue_token(session, susan or 0, 0)
    if not database.is_sqlite:
        async with database.session() as session:
            await session.execute(text("ANALYZE"))
            await session.commit()
    await database.dispose()
    return issued.token
