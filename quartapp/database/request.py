"""The session of a request: opened lazily, rolled back after an error, closed at the end.

A request with a safe method reads, and so does a websocket, whose session would otherwise keep the
write lock while it waits for its client; every other context may write (see
`DatabaseEngine.session`). A view commits its work itself. The teardown always closes the session
and returns its connection, also when the client has disconnected and the request was cancelled.
"""

import asyncio
from typing import cast
from weakref import ref

from quart import (
    current_app,
    g,
    has_app_context,
    has_request_context,
    has_websocket_context,
    request,
)

from quartapp.database.engine import DatabaseEngine
from quartapp.database.source import Session
from quartapp.http_methods import SAFE_METHODS

OUTSIDE = """Working outside of application context: no application is current, and so no database.

In a script or a test:    async with app.app_context(): ...
In a task of a view:      current_app.add_background_task(function)
In a synchronous command: make it 'async def', on an App
"""


def current_database() -> DatabaseEngine:
    """The database of the current application.

    Raises RuntimeError outside of application contexts, and if the application has none.
    """
    if not has_app_context():
        raise RuntimeError(OUTSIDE)
    database = current_app.extensions.get("database")
    if database is None:
        raise RuntimeError(
            f"The application {current_app.name!r} has no database: call db.init_app(app)."
        )
    return cast(DatabaseEngine, database)


def request_session() -> Session:
    """The session of the current application context, created by the first call.

    It takes a connection from the pool at its first statement. Do not share it between tasks: a
    task that outlives the request needs its own `DatabaseEngine.session()`. Raises RuntimeError in
    such a task after the end of the request, because nothing would close the session.
    """
    session: Session | None = g.get("_session")
    if session is None:
        ended_in = g.get("_session_ended_in")
        if ended_in is not None and ended_in() is not asyncio.current_task():
            raise RuntimeError(
                "The request has ended, and its session with it. A task that outlives a request"
                " has its own: use current_app.add_background_task, or 'async with db.begin()'."
            )
        if has_request_context():
            write = request.method not in SAFE_METHODS
        else:
            write = not has_websocket_context()
        session = g._session = current_database().session(write=write)
    return session


def reopened_session() -> Session:
    """The session of a context whose request has ended, for a debugger that works in it again.

    The caller runs the teardown functions again, which close the session.
    """
    g.pop("_session_ended_in", None)
    return request_session()


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
    task = asyncio.current_task()
    g._session_ended_in = None if task is None else ref(task)
    if session is None:
        return
    if not session.in_transaction():  # committed or rolled back: the connection was returned
        session.sync_session.close()
        return
    closing = asyncio.ensure_future(session.close_for_good())
    try:
        await asyncio.shield(closing)
    except asyncio.CancelledError:
        await asyncio.wait([closing])
        raise
