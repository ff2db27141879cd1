"""The database sessions that a prompt uses.

The database is imported inside the functions: the server must be able to show the page of an error
in that very package.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from quart import current_app, has_app_context

_logger = logging.getLogger(__name__)


def session_names(names: Mapping[str, Any]) -> Mapping[str, Any]:
    """`db_session`, the database session of the failed request, if the application has one.

    The sessions among the prompt's names can be used again. Called for each command, as all of them
    are closed after each.
    """
    if not has_app_context() or "database" not in current_app.extensions:
        return {}
    from sqlalchemy.ext.asyncio import AsyncSession

    from quartapp.database.request import reopened_session

    for session in [value for value in names.values() if isinstance(value, AsyncSession)]:
        _reopen(session.sync_session)
    return {"db_session": reopened_session()}


def _reopen(session: Any) -> None:
    # A session of `quartapp.database` refuses to be used after its request, and SQLAlchemy has no
    # public way back. What a prompt begins, `release_sessions` ends.
    state = session._close_state
    if state is type(state).CLOSED:
        session._close_state = type(state).ACTIVE


async def release_sessions(namespace: Mapping[str, Any]) -> None:
    """Return the connections of all sessions in a prompt's namespace to their pools."""
    from sqlalchemy.ext.asyncio import AsyncSession

    for session in [value for value in namespace.values() if isinstance(value, AsyncSession)]:
        if session.in_transaction():
            try:
                await asyncio.shield(session.close())
            except Exception:
                _logger.exception("A prompt's session could not be closed.")
