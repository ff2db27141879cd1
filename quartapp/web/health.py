"""Signs of life for load balancers and supervisors, as JSON."""

import logging

from sqlalchemy.exc import SQLAlchemyError

from quartapp.database import current_database
from quartapp.flasklike import Blueprint

blueprint = Blueprint("health", __name__)

_logger = logging.getLogger(__name__)


@blueprint.get("/health")
async def health() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@blueprint.get("/ready")
async def ready() -> tuple[dict[str, str], int]:
    """The database answers too; 503 while it does not."""
    try:
        await current_database().ping()
    except (SQLAlchemyError, OSError) as error:
        _logger.warning("Not ready: the database does not answer (%s)", type(error).__name__)
        return {"status": "unavailable", "database": "unreachable"}, 503
    return {"status": "ok", "database": "ok"}, 200
