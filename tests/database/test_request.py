"""The session of a request: one, opened when it is needed, and always closed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from quart import g
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database import Database, DatabaseEngine
from quartapp.flasklike import App
from tests.shop.app import Base, Customer

db = Database(model_class=Base)

_NUMBER = select(func.count(Customer.id))


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


@pytest.fixture
async def app(database_url: str) -> AsyncIterator[App]:
    """An application with only a database: nothing else takes connections."""
    application = App("database_only")
    application.config["DATABASE_URL"] = database_url
    db.init_app(application)
    async with application.app_context():
        await db.create_all()
    yield application
    await application.extensions["database"].dispose()


async def takes_the_write_lock(session: AsyncSession) -> bool:
    """Whether the session's first statement takes the write lock, which only SQLite has."""
    assert not session.in_transaction()
    await session.execute(text("SELECT 1"))
    dbapi: Any = session.get_bind().dialect.dbapi
    return bool(session.get_bind().dialect.name == "sqlite" and dbapi.write_lock.locked)


def pool(app: App) -> Any:
    return app.extensions["database"].engine.sync_engine.pool


async def test_is_one_and_takes_no_connection_before_its_first_statement(app: App) -> None:
    async with app.test_request_context("/"):
        session = db.session
        assert db.session is session
        assert pool(app).checkedout() == 0
        await session.execute(text("SELECT 1"))
        assert pool(app).checkedout() == 1


async def test_a_request_that_asks_nothing_opens_nothing(app: App) -> None:
    async with app.test_request_context("/"):
        assert "_session" not in g


@pytest.mark.parametrize("error", [None, RuntimeError("in the view")])
async def test_is_closed_at_teardown(app: App, error: Exception | None) -> None:
    async with app.app_context():
        await db.session.execute(text("SELECT 1"))
        await app.do_teardown_appcontext(error)
        assert pool(app).checkedout() == 0


async def test_is_closed_when_the_request_is_cancelled(app: App) -> None:
    entered = asyncio.Event()

    async def view() -> str:
        await db.session.execute(text("SELECT 1"))
        entered.set()
        await asyncio.sleep(60)
        return "never"

    app.add_url_rule("/view", view_func=view)
    async with app.test_client().request("/view") as connection:
        await connection.send_complete()
        await entered.wait()
        assert pool(app).checkedout() == 1
        await connection.disconnect()
    await wait_until_returned(app)


async def wait_until_returned(app: App) -> None:
    async with asyncio.timeout(60):
        while pool(app).checkedout():  # noqa: ASYNC110 the pool has no event for it
            await asyncio.sleep(0.01)


async def test_the_close_outlives_a_cancellation(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    closing, finish = asyncio.Event(), asyncio.Event()
    close = AsyncSession.close

    async def slow_close(session: AsyncSession) -> None:
        closing.set()
        await finish.wait()
        await close(session)

    async def request() -> None:
        async with app.app_context():
            await db.session.execute(text("SELECT 1"))

    task = asyncio.ensure_future(request())
    monkeypatch.setattr(AsyncSession, "close", slow_close)
    await closing.wait()
    task.cancel()
    await asyncio.sleep(0)
    finish.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert pool(app).checkedout() == 0


@pytest.mark.slow
async def test_concurrent_increments_lose_no_update(app: App) -> None:
    """Select a number, then write it plus one: a lost update if transactions are not isolated."""
    database: DatabaseEngine = app.extensions["database"]
    async with database.begin() as session:
        session.add(Customer(id=1, name="susan", email="susan@example.com"))

    async def increment() -> None:
        async with database.begin() as session:
            visits = await session.scalar(select(Customer.visits).with_for_update())
            await asyncio.sleep(0.01)
            await session.execute(update(Customer).values(visits=(visits or 0) + 1))

    await asyncio.gather(*(increment() for _ in range(8)))
    async with database.session(write=False) as session:
        assert await session.scalar(select(Customer.visits)) == 8


async def test_unsafe_methods_write(app: App) -> None:
    async with app.test_request_context("/", method="POST"):
        post = await takes_the_write_lock(db.session)
    async with app.test_request_context("/", method="GET"):
        get = await takes_the_write_lock(db.session)
    assert (post, get) == (app.extensions["database"].is_sqlite, False)


async def test_a_statement_by_itself_waits_for_no_lock_and_takes_no_connection_along(
    app: App,
) -> None:
    database: DatabaseEngine = app.extensions["database"]
    async with database.session() as other:
        await other.execute(text("SELECT 1"))  # on SQLite, it holds the write lock now
        async with app.test_request_context("/", method="POST"):
            for _ in range(3):
                assert await db.source.read(_NUMBER) == [(0,)]
            assert pool(app).checkedout() == 1
            assert db.source is database
