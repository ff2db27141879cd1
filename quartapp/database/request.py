"""The session of a request: opened lazily, rolled back after an error, closed at the end.

A request with a safe method reads; every other one may write (see `Database.session`). A view
commits its work itself. The teardown always closes the session and returns its connection, also
when the client has disconnected and the request was cancelled.
"""

import asyncio
from typing import cast

from quart import Quart, current_app, g, has_request_context, request

from quartapp.database.drivers import shares
from quartapp.database.engine import Database
from quartapp.database.source import Session, Source

SAFE_METHODS = shares.SAFE_METHODS


def init_app(app: Quart, database: Database) -> None:
    """Give an application its database, and close each request's session in its teardown."""
    app.extensions["database"] = database
    app.teardown_appcontext(close_request_session)


def current_database() -> Database:
    """The database of the current application."""
    return cast(Database, current_app.extensions["database"])


def request_session() -> Session:
    """The session of the current application context, created by the first call.

    It takes a connection from the pool at its first statement. Do not share it between tasks: a
    task that outlives the request needs its own `Database.session()`.
    """
    session: Session | None = g.get("_session")
    if session is None:
        write = not has_request_context() or request.method not in SAFE_METHODS
        session = g._session = current_database().session(write=write)
    return session


def request_source() -> Source:
    """What the current request executes statements on, at this moment.

    The request's session while it is in a transaction, so that what it wrote is seen; otherwise the
    database, where each call is a transaction of its own. Do not keep it: call this again for the
    next statement.
    """
    session: Session | None = g.get("_session")
    if session is not None and session.in_transaction():
        return session
    return current_database()


async def rollback_request_session() -> None:
    """Roll back what the request did not commit; does nothing if it opened no session."""
    session: Session | None = g.get("_session")
    if session is not None:
        await session.rollback()


async def close_request_session(_error: BaseException | None = None) -> None:
    """Close the session and return its connection, also while the request is being cancelled.

    A cancellation that arrives during the close waits until the connection is back in the pool.
    """
    session: Session | None = g.pop("_session", None)
    if session is None:
        return
    if not session.in_transaction():  # committed or rolled back: the connection was returned
        session.sync_session.close()
        return
    closing = asyncio.ensure_future(session.close())
    try:
        await asyncio.shield(closing)
    except asyncio.CancelledError:
        await asyncio.wait([closing])
        raise
