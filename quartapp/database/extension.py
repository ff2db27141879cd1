"""`Database`: what Flask-SQLAlchemy is to Flask, for asynchronous applications."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, TypeVar

import click
import sqlalchemy
from quart import Quart, abort, current_app, g
from quart.cli import ScriptInfo
from sqlalchemy import Executable, MetaData, Select, orm
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from quartapp.database.configuration import EngineFactory, make_engine
from quartapp.database.engine import WARM_UP, DatabaseEngine
from quartapp.database.lookup import find_by_key, find_first, find_one
from quartapp.database.model import model_base
from quartapp.database.pagination import Pagination, paginate
from quartapp.database.request import (
    close_request_session,
    current_database,
    request_session,
)
from quartapp.database.revisions import refuse_outdated_tables, tables_fault
from quartapp.database.source import Rows, Session, Source, Step
from quartapp.installation import check_installable

EXTENSION = "database.extension"
"""The key in `app.extensions` of the `Database` itself; that of its engine is "database"."""

T = TypeVar("T")


class Database(Source):
    """The database of one or several applications: models, and for each application an engine.

    `init_app` reads the application's configuration and connects to nothing. `session` and all that
    queries work where an application context is current: in requests, websockets, background tasks,
    commands, and in `async with app.app_context()`. The database is a `Source`, so functions that
    take one may be given it.

    `model_class` is the application's own declarative base, or a class with what all models share;
    `metadata` is for bases that are made here. `engine_options` are those of SQLAlchemy's
    `create_async_engine` that fit the pool, `session_options` those of its `AsyncSession`. With
    `engine`, an `AsyncEngine` or `create_async_engine` itself, SQLAlchemy's own drivers and pool
    are used.
    """

    def __init__(
        self,
        app: Quart | None = None,
        *,
        model_class: type[Any] | None = None,
        metadata: MetaData | None = None,
        engine: AsyncEngine | EngineFactory | None = None,
        engine_options: Mapping[str, Any] | None = None,
        session_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.Model: Any = model_base(model_class, metadata)
        """The base class of models; their tables are named after them."""
        self._engine = engine
        self._engine_options = dict(engine_options or {})
        self._session_options = dict(session_options or {})
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Quart) -> None:
        """Give an application its engine, as its configuration says; connects to nothing.

        Raises ConfigurationError, with a line for each fault, and RuntimeError if the application
        has a database already, or serves.
        """
        check_installable(app, Database, "database")
        database = make_engine(app, self._engine, self._engine_options, self._session_options)
        lifetime = _Lifetime(app, database, self.metadata)
        app.teardown_appcontext(lifetime.leave_context)
        app.before_serving(lifetime.begin)
        app.before_serving(lifetime.warm_up)
        app.after_serving(lifetime.end)
        app.shell_context_processor(self._shell_names)
        app.extensions["database"] = database
        app.extensions[EXTENSION] = self

    @property
    def metadata(self) -> MetaData:
        """The tables of the models."""
        metadata: MetaData = self.Model.metadata
        return metadata

    @property
    def database(self) -> DatabaseEngine:
        """The current application's engine with its sessions, `app.extensions["database"]`."""
        database = current_database()
        if current_app.extensions.get(EXTENSION, self) is not self:
            raise RuntimeError(
                "The current application uses another Database object: make one, in a module that"
                " all others import it from."
            )
        return database

    @property
    def engine(self) -> AsyncEngine:
        """SQLAlchemy's engine of the current application."""
        return self.database.engine

    @property
    def session(self) -> Session:
        """The session of the current application context, made at its first use.

        It connects at its first statement. Where the context ends it is closed, and what was not
        committed is rolled back. A request whose method is GET, HEAD, OPTIONS or TRACE and a
        websocket read with it: to write there, use `begin()` or `write()`, which take SQLite's
        write lock at their start, as this session does in all other contexts.

        It belongs to one task: a second one that uses it meanwhile gets SharedSessionError.
        """
        self.database  # noqa: B018 it raises where there is none
        return request_session()

    @property
    def source(self) -> Source:
        """The session while it is in a transaction, otherwise the engine; see `Source`.

        Do not keep it: ask again for the next statement.
        """
        database = self.database
        session: Session | None = g.get("_session")
        return session if session is not None and session.in_transaction() else database

    def begin(self) -> AbstractAsyncContextManager[Session]:
        """A new writing session in a transaction: committed at the end, rolled back on an error."""
        return self.database.begin()

    def new_session(self, *, write: bool = True) -> Session:
        """A new session for `async with`; the block commits. See `DatabaseEngine.session`."""
        return self.database.session(write=write)

    def snapshot(self) -> AbstractAsyncContextManager[Session]:
        """A session whose reads all see one state; see `DatabaseEngine.snapshot`."""
        return self.database.snapshot()

    @property
    def is_sqlite(self) -> bool:
        return self.database.is_sqlite

    def read(self, statement: Executable, /, **values: Any) -> Coroutine[Any, Any, Rows]:
        """The rows of a SELECT, on `source`."""
        return self.source.read(statement, **values)

    def write_all(self, *steps: Step) -> Coroutine[Any, Any, list[int]]:
        """Execute several statements in one transaction on `source`, and commit."""
        return self.source.write_all(*steps)

    async def tables_fault(self) -> str:
        """Why this version of the application cannot work with the tables, as a sentence; or "".

        They are older than its migrations, or so much newer that their revision says so. Raises
        what the database raises.
        """
        self.database  # noqa: B018 it raises where there is none
        return await tables_fault(current_app._get_current_object(), self.metadata)  # type: ignore[attr-defined]  # a proxy

    @asynccontextmanager
    async def without_limits(self, app: Quart) -> AsyncIterator[DatabaseEngine]:
        """An engine for migrations, on which statements may take any time.

        It is the application's engine if that was given, or if the database is in memory. At the
        end connections are closed, those of the application's engine too: tables have changed.
        """
        own: DatabaseEngine = app.extensions["database"]
        if own.is_in_memory:
            yield own
            return
        engine = own
        if not isinstance(self._engine, AsyncEngine):
            options = self._engine_options, self._session_options
            engine = make_engine(app, self._engine, *options, limited=False)
        try:
            yield engine
        finally:
            await engine.dispose()
            await own.dispose()

    async def create_all(self) -> None:
        """Create the tables of all models that are imported, where they are missing."""
        await self._run(self.metadata.create_all)

    async def drop_all(self) -> None:
        """Drop the tables of all models that are imported."""
        await self._run(self.metadata.drop_all)

    async def _run(self, work: Any) -> None:
        async with self.begin() as session:
            await (await session.connection()).run_sync(work)

    async def paginate(
        self,
        select: Select[Any],
        *,
        page: int | None = None,
        per_page: int | None = None,
        max_per_page: int | None = 100,
        error_out: bool = True,
        count: bool = True,
    ) -> Pagination[Any]:
        """A page of the objects that a SELECT returns.

        In a request, `page` and `per_page` are those of the query string unless they are passed;
        otherwise 1 and 20. `per_page` is at most `max_per_page`. With `error_out` a page that
        cannot exist, or that is empty and not the first, is a 404; without it, numbers that make no
        sense count as not given. With `count` a second statement counts all items.
        """
        return await paginate(
            self.session,
            select,
            page=page,
            per_page=per_page,
            max_per_page=max_per_page,
            error_out=error_out,
            count=count,
        )

    async def get_or_404(
        self, entity: type[T], ident: Any, *, description: str | None = None, **options: Any
    ) -> T:
        """The object with this primary key, or a 404 with the description.

        `options` are those of `AsyncSession.get`.
        """
        found = await find_by_key(self.session, entity, ident, options)
        return found if found is not None else abort(404, description)

    async def first_or_404(self, statement: Select[Any], *, description: str | None = None) -> Any:
        """The first result, or a 404 with the description."""
        found = await find_first(self.session, statement)
        return found if found is not None else abort(404, description)

    async def one_or_404(self, statement: Select[Any], *, description: str | None = None) -> Any:
        """The only result, or a 404 with the description if there are none or several."""
        found = await find_one(self.session, statement)
        return found if found is not None else abort(404, description)

    select = staticmethod(sqlalchemy.select)

    def __repr__(self) -> str:
        return f"<Database of {len(self.metadata.tables)} tables>"

    def __getattr__(self, name: str) -> Any:
        for module, source in ((sqlalchemy, "sqlalchemy"), (orm, "sqlalchemy.orm")):
            if not name.startswith("_") and hasattr(module, name):
                raise AttributeError(
                    f"a Database has no {name!r}: write 'from {source} import {name}'"
                )
        raise AttributeError(f"'Database' object has no attribute {name!r}")

    def _shell_names(self) -> dict[str, Any]:
        models = {mapper.class_.__name__: mapper.class_ for mapper in self.Model.registry.mappers}
        return {"db": self, **models}


class _Lifetime:
    """What an application does with its engine while it serves, and at the end of a context."""

    def __init__(self, app: Quart, database: DatabaseEngine, metadata: MetaData) -> None:
        self._app = app
        self._database = database
        self._metadata = metadata
        self._is_serving = False

    async def begin(self) -> None:
        self._is_serving = True
        # Quart calls the functions in this order. The others open a log, in which a database that
        # does not answer is noted; and what they do at the end may still need the database.
        for functions, own in (
            (self._app.before_serving_funcs, self.warm_up),
            (self._app.after_serving_funcs, self.end),
        ):
            functions.append(functions.pop(functions.index(own)))

    async def warm_up(self) -> None:
        """Connect, and raise OutdatedTablesError if the tables are older than the migrations."""
        if not await self._database.warm_up():
            return
        with suppress(SQLAlchemyError, OSError):  # which a TimeoutError is; it is unreachable again
            async with asyncio.timeout(WARM_UP):
                await refuse_outdated_tables(self._app, self._metadata)

    async def end(self) -> None:
        self._is_serving = False
        await close_request_session()  # which an after_serving function may have opened
        await self._database.dispose()

    async def leave_context(self, _error: BaseException | None) -> None:
        await close_request_session()
        if self._is_serving:
            return
        context = click.get_current_context(silent=True)
        if context is not None and isinstance(context.find_root().obj, ScriptInfo):
            await self._database.dispose()  # at the end of a command, before its event loop ends
