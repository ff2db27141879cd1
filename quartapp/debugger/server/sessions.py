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


def session_names() -> Mapping[str, Any]:
    """`db_session`, the database session of the failed request, if the application has one."""
    if not has_app_context() or "database" not in current_app.extensions:
        return {}
    from quartapp.database import request_session

    return {"db_session": request_session()}


async def release_sessions(namespace: Mapping[str, Any]) -> None:
    """Return the connections of all sessions in a prompt's namespace to their pools."""
    from sqlalchemy.ext.asyncio import AsyncSession

    for session in [value for value in namespace.values() if isinstance(value, AsyncSession)]:
        if session.in_transaction():
            try:
                await asyncio.shield(session.close())
            except Exception:
                _logger.exception("A prompt's session could not be closed.")
