"""`Database` in an application of somebody else, on plain Quart and on App."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from quart import Quart, stream_with_context, websocket
from sqlalchemy import func, select, text
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Mapped, mapped_column

from quartapp.database import Database, DatabaseEngine, Session
from quartapp.database.errors import SharedSessionError
from tests.database.conftest import MakeApp

db = Database()


class Item(db.Model):  # type: ignore[name-defined, misc]  # typed with a base of one's own
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


COUNT = select(func.count(Item.id))


@pytest.fixture
async def app(make_app: MakeApp, each_database_url: str) -> AsyncIterator[Quart]:
    app = make_app(DATABASE_URL=each_database_url, DATABASE_POOL_SIZE=3)
    db.init_app(app)
    for rule, view in {"/add": add, "/fail": fail, "/hold": hold}.items():
        app.add_url_rule(rule, view_func=view, methods=["GET", "POST"])
    async with app.app_context():
        await db.create_all()
    async with app.test_app():
        yield app
        assert used(app) == 0


async def add() -> str:
    db.session.add(Item(name="kept"))
    await db.session.commit()
    return "added"


async def fail() -> str:
    db.session.add(Item(name="lost"))
    await db.session.flush()
    raise LookupError("after the flush")


async def hold() -> str:
    await db.session.execute(text("SELECT 1"))
    await asyncio.sleep(60)
    return "never"


def used(app: Quart) -> int:
    pool: Any = app.extensions["database"].engine.pool
    return int(pool.checkedout())


def exists(app: Quart, name: str) -> bool:
    return Path(app.instance_path, name).exists()


def make_folder(app: Quart) -> None:
    Path(app.instance_path).mkdir(parents=True)


async def count(app: Quart) -> int:
    async with app.app_context():
        return int((await db.read(COUNT))[0][0])


async def test_what_a_view_commits_is_kept_and_what_fails_is_not(app: Quart) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    client = app.test_client()
    assert (await client.post("/add")).status_code == 200
    assert (await client.post("/fail")).status_code == 500
    assert used(app) == 0
    assert await count(app) == 1


async def test_a_request_that_is_cancelled_gives_its_connection_back(app: Quart) -> None:
    async with app.test_client().request("/hold", method="POST") as connection:
        await connection.send_complete()
        async with asyncio.timeout(20):
            while not used(app):  # noqa: ASYNC110 the pool has no event for it
                await asyncio.sleep(0.01)
        await connection.disconnect()
    async with asyncio.timeout(20):
        while used(app):  # noqa: ASYNC110 as above
            await asyncio.sleep(0.01)
    assert (await app.test_client().post("/add")).status_code == 200


async def test_a_task_that_outlives_its_request_opens_no_session_that_nobody_closes(
    app: Quart,
) -> None:
    ended = asyncio.Event()

    async def later(session: Session) -> None:
        await ended.wait()
        with pytest.raises(RuntimeError, match="The request has ended"):
            db.session  # noqa: B018 it raises
        with pytest.raises(InvalidRequestError, match="closed"):
            await session.execute(text("SELECT 1"))

    async def view() -> str:
        tasks.append(asyncio.create_task(later(db.session)))
        return "started"

    tasks: list[asyncio.Task[None]] = []
    app.add_url_rule("/later", view_func=view)
    await app.test_client().get("/later")
    ended.set()
    await tasks[0]
    assert used(app) == 0


async def test_a_session_that_a_view_closes_can_be_used_again(app: Quart) -> None:
    async def view() -> str:
        await db.session.execute(text("SELECT 1"))
        await db.session.close()
        return str(await db.session.scalar(text("SELECT 2")))

    app.add_url_rule("/again", view_func=view)
    assert await (await app.test_client().get("/again")).get_data(as_text=True) == "2"
    assert not used(app)


async def test_a_background_task_has_a_session_of_its_own(app: Quart) -> None:
    async def later() -> None:
        db.session.add(Item(name="later"))
        await db.session.commit()

    async def view() -> str:
        app.add_background_task(later)
        return "started"

    app.add_url_rule("/later", view_func=view, methods=["POST"])
    await app.test_client().post("/later")
    await asyncio.gather(*app.background_tasks)
    assert (await count(app), used(app)) == (1, 0)


async def test_a_stream_has_a_session_until_it_ends(app: Quart) -> None:
    async def view() -> Any:
        @stream_with_context
        async def rows() -> AsyncIterator[str]:
            yield str(await db.session.scalar(COUNT))
            yield f" {used(app)}"

        return rows()

    app.add_url_rule("/stream", view_func=view)
    response = await app.test_client().get("/stream")
    assert await response.get_data(as_text=True) == "0 1"
    assert used(app) == 0


async def test_a_websocket_takes_no_write_lock_while_it_waits(app: Quart) -> None:
    async def talk() -> None:
        while True:
            await websocket.receive()
            await db.session.scalar(COUNT)
            await websocket.send("done")

    app.add_websocket("/talk", view_func=talk)
    async with app.test_client().websocket("/talk") as connection:
        for _ in range(2):
            await connection.send("hello")
            assert await connection.receive() == "done"
            async with asyncio.timeout(20):
                assert (await app.test_client().post("/add")).status_code == 200
    async with asyncio.timeout(20):
        while used(app):  # noqa: ASYNC110 the pool has no event for it
            await asyncio.sleep(0.01)
    assert await count(app) == 2


async def test_two_tasks_do_not_share_a_session(app: Quart) -> None:
    """What each finds in the other's transaction would depend on chance."""

    async def view() -> str:
        query = text("SELECT 1")
        with pytest.raises(SharedSessionError, match="one task"):
            await asyncio.gather(*(db.session.execute(query) for _ in range(3)))
        return "refused"

    app.add_url_rule("/gather", view_func=view)
    response = await app.test_client().get("/gather")
    assert await response.get_data(as_text=True) == "refused"
    assert used(app) == 0
    assert (await app.test_client().post("/add")).status_code == 200


async def test_statements_by_themselves_may_run_side_by_side(app: Quart) -> None:
    async def view() -> list[int]:
        found = await asyncio.gather(*(db.read(COUNT) for _ in range(3)))
        return [rows[0][0] for rows in found]

    app.add_url_rule("/gather", view_func=view)
    assert await (await app.test_client().get("/gather")).get_json() == [0, 0, 0]


async def test_sessions_for_tasks_and_commands(app: Quart) -> None:
    async with app.app_context():
        async with db.begin() as session:
            session.add(Item(name="a"))
        async with db.new_session() as session:
            session.add(Item(name="b"))
            await session.commit()
        async with db.snapshot() as session:
            assert await session.read(COUNT) == [(2,)]
        assert await db.write(Item.__table__.insert(), name="c") == 1
        assert await db.session.scalar(COUNT) == 3
        await db.session.execute(Item.__table__.insert().values(name="uncommitted"))
        assert await db.read(COUNT) == [(4,)], "reads what the session has written"
    assert await count(app) == 3


async def test_one_database_serves_several_applications(make_app: MakeApp) -> None:
    apps = [make_app(name, DATABASE_URL="sqlite:///own.db") for name in ("one", "two")]
    for app in apps:
        db.init_app(app)
        async with app.app_context():
            await db.create_all()
    async with apps[0].test_app(), apps[1].test_app(), apps[0].app_context():
        await db.write(Item.__table__.insert(), name="in one")
        async with apps[1].app_context():
            assert await db.session.scalar(COUNT) == 0
        assert await db.session.scalar(COUNT) == 1
    assert all(exists(app, "own.db") for app in apps)


async def test_nothing_is_made_before_the_first_statement(make_app: MakeApp) -> None:
    app = make_app(DATABASE_URL="sqlite:///shop.db")
    tasks = asyncio.all_tasks()
    Database(app)
    assert not exists(app, "")
    assert asyncio.all_tasks() == tasks
    async with app.test_app():
        assert exists(app, "shop.db"), "a start opens a connection"


async def test_it_is_disposed_of_after_all_that_may_use_it(make_app: MakeApp) -> None:
    app = make_app(DATABASE_URL="sqlite:///shop.db")
    own = Database(app)
    seen: list[Any] = []

    @app.after_serving
    async def last() -> None:
        seen.append(await own.session.scalar(text("SELECT 1")))

    for _ in range(2):
        async with app.test_app():
            pass
        pool: Any = app.extensions["database"].engine.pool
        assert (seen.pop(), pool.checkedin()) == (1, 0)


async def test_misuse_is_explained(make_app: MakeApp) -> None:
    app = make_app(DATABASE_URL="sqlite:///shop.db")
    with pytest.raises(RuntimeError, match=r"async with app.app_context\(\)"):
        db.session  # noqa: B018 it raises
    async with app.app_context():
        with pytest.raises(RuntimeError, match=r"call db.init_app\(app\)"):
            db.session  # noqa: B018 it raises
    own = Database(app)
    with pytest.raises(
        RuntimeError, match="Database is installed in the application 'shop' already"
    ):
        own.init_app(app)
    async with app.app_context():
        with pytest.raises(RuntimeError, match="another Database object"):
            await db.create_all()
    served = make_app("served", DATABASE_URL="sqlite:///shop.db")
    async with served.test_app():
        with pytest.raises(
            RuntimeError, match="'served' has begun to serve: install Database before"
        ):
            Database(served)
    with pytest.raises(AttributeError, match="from sqlalchemy import Column"):
        db.Column  # noqa: B018 it raises
    with pytest.raises(AttributeError, match=r"from sqlalchemy.orm import relationship"):
        db.relationship  # noqa: B018 it raises
    assert not hasattr(db, "nothing")


async def test_an_engine_of_sqlalchemy(make_app: MakeApp) -> None:
    app = make_app(DATABASE_URL="sqlite:///stock.db")
    make_folder(app)
    own = Database(app, engine=create_async_engine)
    async with app.test_app(), app.app_context():
        assert own.engine.url.drivername == "sqlite+aiosqlite"
        assert own.engine.dialect.driver == "aiosqlite"
        await own.session.execute(text("CREATE TABLE t (x)"))
        await own.session.commit()
    memory = make_app("memory")
    engine = create_async_engine("sqlite+aiosqlite://")
    own = Database(memory, engine=engine)
    async with memory.test_app(), memory.app_context():
        assert own.engine is engine
        assert isinstance(own.database, DatabaseEngine)
        await own.create_all()


async def test_a_shell_has_the_models(app: Quart) -> None:
    names = app.make_shell_context()
    assert (names["db"], names["Item"]) == (db, Item)
