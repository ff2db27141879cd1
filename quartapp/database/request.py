"""The session of a request: opened lazily, rolled back after an error, closed at the end.

A request with a safe method reads; every other one may write (see `Database.session`). A view
commits what it did itself. Whatever happens, also when the client went away and the request was
cancelled, teardown closes the session and so returns its connection.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from quart import Quart, current_app, g, has_request_context, request
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database.engine import Database

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def init_app(app: Quart, database: Database) -> None:
    """Give an application its database, and close each request's session at its teardown."""
    app.extensions["database"] = database
    app.teardown_appcontext(close_request_session)


def current_database() -> Database:
    return cast(Database, current_app.extensions["database"])


def request_session() -> AsyncSession:
    """The session of the current application context, made at the first call.

    No connection is taken from the pool before the first statement. Not to be shared between
    tasks: a task that outlives the request makes its own with `Database.session()`.
    """
    session: AsyncSession | None = g.get("_session")
    if session is None:
        write = not has_request_context() or request.method not in _SAFE_METHODS
        session = g._session = current_database().session(write=write)
    return session


@asynccontextmanager
async def reading_first() -> AsyncIterator[AsyncSession]:
    """The request's session, which only reads in this block, whatever the request does later.

    For what is asked before the view begins, such as who calls: the session of a request that may
    write takes SQLite's write lock at its first statement. Such a request is in no transaction
    afterwards; one that only reads stays in that which was begun here.
    """
    session = request_session()
    if request.method in _SAFE_METHODS or session.in_transaction():
        yield session
        return
    database = current_database()
    database.let_write(session, False)
    try:
        yield session
        await session.rollback()  # on SQLite waits for nothing, where a commit would
    finally:
        database.let_write(session, True)


async def rollback_request_session() -> None:
    """Undo what the request did not commit; does nothing where no session was opened."""
    session: AsyncSession | None = g.get("_session")
    if session is not None:
        await session.rollback()


async def close_request_session(_error: BaseException | None = None) -> None:
    """Close the session and return its connection, also while the request is being cancelled.

    A cancellation that arrives during the close waits until the connection is back in the pool.
    """
    session: AsyncSession | None = g.pop("_session", None)
    if session is None:
        return
    if not session.in_transaction():  # committed or rolled back: its connection is back already
        session.sync_session.close()
        return
    closing = asyncio.ensure_future(session.close())
    try:
        await asyncio.shield(closing)
    except asyncio.CancelledError:
        await asyncio.wait([closing])
        raise
