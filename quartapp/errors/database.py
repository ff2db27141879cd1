"""The answers when SQLAlchemy's database is busy, for applications that use SQLAlchemy."""

import sys

from quart import Quart, Response, current_app, request
from sqlalchemy.exc import TimeoutError as DatabaseTimeoutError

from quartapp.errors.handlers import RETRY_AFTER, register, roll_back
from quartapp.errors.responses import respond
from quartapp.errors.site import current_site
from quartapp.http_methods import SAFE_METHODS


def init_app(app: Quart) -> None:
    """Register the handler for the time limits of SQLAlchemy and of `quartapp.database`."""
    register(app, DatabaseTimeoutError, handle_database_timeout)


async def handle_database_timeout(error: DatabaseTimeoutError) -> Response:
    """Answer 503 when no connection became free, or a statement was not answered, in time.

    A full queue for the database is counted and not recorded, and costs little, as the refusals of
    admission.
    """
    site = current_site()
    busy = site.describe(503, headers=(("Retry-After", RETRY_AFTER),))
    if _is_refusal(error):
        site.expect("database")
        return await respond(busy, plain=request.method in SAFE_METHODS)
    current_app.logger.error("The database did not answer in time", exc_info=error)
    await roll_back(site)
    return await respond(busy)


def _is_refusal(error: DatabaseTimeoutError) -> bool:
    part = sys.modules.get("quartapp.database.errors")
    return part is not None and isinstance(error, part.DatabaseQueueFullError)
