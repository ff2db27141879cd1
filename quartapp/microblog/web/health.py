"""Health checks for load balancers and supervisors, as JSON."""

from sqlalchemy.exc import SQLAlchemyError

from quartapp import reporting
from quartapp.database import current_database
from quartapp.flasklike import Blueprint

blueprint = Blueprint("health", __name__)


@blueprint.get("/health")
async def health() -> dict[str, str]:
    """The process is running."""
    return {"status": "ok"}


@blueprint.get("/ready")
async def ready() -> tuple[dict[str, str], int]:
    """The database answers too; otherwise 503, which is not reported as an error."""
    try:
        await current_database().ping()
    except (SQLAlchemyError, OSError):
        reporting.expect("ready")
        return {"status": "unavailable", "database": "unreachable"}, 503
    return {"status": "ok", "database": "ok"}, 200
