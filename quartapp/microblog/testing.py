"""The fixtures of the microblog: a pytest plugin in addition to `quartapp.testing`.

Enable it in the top conftest.py, with `pytest_plugins = ["quartapp.microblog.testing"]`; it needs
pytest-asyncio in its auto mode. Every test gets a new
application with a new, empty database; nothing is shared, so tests run in any order.

| fixture | what a test gets |
|---|---|
| `settings` | settings for tests: temporary folders, a SQLite file, TESTING, no throttling |
| `app` | the application, started and stopped around the test (lifespan), with its tables |
| `add_person` | `await add_person("susan")` adds a person with the password "cat-on-the-mat" |
| `log_in` | `await log_in("susan")` is a client logged in as that person, who is added if new |
| `fork_server` | the process from which `live_server` forks its servers |
| `live_server` | `with live_server() as server:` is a Hypercorn process on a free port |
| `clock` | the time as the application sees it; `clock.advance(minutes=2)` |
"""

import secrets
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias, cast

import pytest
from jinja2.bccache import Bucket, BytecodeCache
from sqlalchemy import create_mock_engine

from quartapp.database import DatabaseEngine
from quartapp.database.drivers import sqlite
from quartapp.flasklike import App
from quartapp.microblog.app import create_app
from quartapp.microblog.config import Settings
from quartapp.microblog.identity import Claim
from quartapp.microblog.migrate import migrate
from quartapp.microblog.models import Base, User, base
from quartapp.microblog.models.login import Device, start_login
from quartapp.microblog.models.token import digest_of
from quartapp.microblog.models.user import add_user, find_login_epoch
from quartapp.microblog.passwords import hash_now, scrypt
from quartapp.reporting import tables
from quartapp.testing import Client, Clock, ForkServer, LiveServer, started

PASSWORD = "cat-on-the-mat"

SERVE = ("-c", "import sys, quartapp.microblog.serve as s; sys.exit(s.main())")
"""What `run.py` does, for an installed package."""

# Cheap on purpose: tests need no protection by a slow hash.
_COST = 7
_PASSWORD_HASH = hash_now(PASSWORD, scrypt(_COST))

StartServer: TypeAlias = Callable[..., LiveServer]

AddPerson: TypeAlias = Callable[..., Awaitable[User]]
LogIn: TypeAlias = Callable[..., Awaitable[Client]]


class _Compiled(BytecodeCache):
    """Compiled templates, in memory: compiling those of a page takes longer than most tests."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if code := self._codes.get((bucket.key, bucket.checksum)):
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._codes[bucket.key, bucket.checksum] = bucket.bytecode_to_string()


_compiled = _Compiled()
_METADATA = (Base.metadata, tables.metadata)
_empty_database = b""
"""An SQLite database with all tables: to copy it is faster than to make the tables again."""


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings(
        environment="testing",
        database_url=database_url,
        instance_path=tmp_path / "instance",
        log_dir=tmp_path / "logs",
        password_cost=_COST,
    )


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[App]:
    application = create_app(settings)
    application.jinja_options = {**application.jinja_options, "bytecode_cache": _compiled}
    await create_tables(application)
    async with started(application):
        yield application


@pytest.fixture
def add_person(app: App) -> AddPerson:
    async def add(username: str, email: str = "", **more: bool) -> User:
        database: DatabaseEngine = app.extensions["database"]
        async with database.session() as opened:
            return await add_user(
                opened, username, email or f"{username}@example.com", _PASSWORD_HASH, **more
            )

    return add


@pytest.fixture
def log_in(app: App, add_person: AddPerson) -> LogIn:
    known: dict[str, User] = {}

    async def enter(username: str, *, remember: bool = False) -> Client:
        user = known.get(username) or await add_person(username)
        known[username] = user
        claim = Claim(user.id, secrets.token_urlsafe(32), remember, user.username)
        database: DatabaseEngine = app.extensions["database"]
        async with database.session() as opened:
            epoch = await find_login_epoch(opened, user.id)
            await start_login(
                opened,
                user.id,
                epoch or 0,
                digest_of(claim.key),
                Device("127.0.0.1", "a test"),
                remembered=remember,
            )
        client = app.test_client()
        auth = app.extensions["identity"]
        client.set_cookie("localhost", auth.cookie_name, auth.dump_token(str(claim), app=app))
        return client

    return enter


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    stopped = Clock(datetime(2030, 1, 1, 12, tzinfo=UTC))
    monkeypatch.setattr(base, "clock", stopped)
    return stopped


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """A process that has imported the microblog and what serves it."""
    server = ForkServer(["quartapp.microblog.serve", "hypercorn.asyncio", "aiosqlite"])
    yield server
    server.close()


@pytest.fixture
def live_server(database_url: str, tmp_path: Path, fork_server: ForkServer) -> StartServer:
    """Start production servers on a migrated database, each on http and a free port."""
    given = environment(tmp_path, database_url)
    migrate(database_url)

    def make(*command: str, **more: str) -> LiveServer:
        return LiveServer(given | more, command or SERVE, cwd=tmp_path, fork_server=fork_server)

    return make


def environment(folder: Path, database_url: str) -> dict[str, str]:
    """The environment of a server whose data is in a folder, and which is reached by http."""
    return {
        "SECRET_KEY": secrets.token_hex(),
        "DATABASE_URL": database_url,
        "INSTANCE_PATH": str(folder / "instance"),
        "LOG_DIR": str(folder / "logs"),
        "COOKIE_SECURE": "false",
        "THROTTLING": "false",
    }


async def create_tables(application: App) -> None:
    """Create all tables in the application's empty database, without running the migrations."""
    global _empty_database
    database: DatabaseEngine = application.extensions["database"]
    file = sqlite.database_file(database.url)
    if file is not None and _empty_database:
        file.write_bytes(_empty_database)
        return
    if database.engine.dialect.name == "postgresql":
        async with database.engine.connect() as connection:
            raw = await connection.get_raw_connection()
            await cast(Any, raw.driver_connection).execute(_postgresql_script())
        return
    async with database.engine.begin() as connection:
        for metadata in _METADATA:
            await connection.run_sync(metadata.create_all)
    if file is not None:
        with closing(sqlite3.connect(file)) as copied:
            copied.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        _empty_database = file.read_bytes()


@cache
def _postgresql_script() -> str:
    """What makes all tables, in one round trip instead of a hundred."""
    statements: list[str] = []

    def note(statement: Any, *_: object) -> None:
        statements.append(str(statement.compile(dialect=engine.dialect)))

    engine = create_mock_engine("postgresql+asyncpg://", note)
    for metadata in _METADATA:
        metadata.create_all(engine, checkfirst=False)
    return ";".join(statements)
