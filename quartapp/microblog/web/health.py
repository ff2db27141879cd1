"""Health checks for load balancers and supervisors, as JSON."""

import logging

from quart import current_app
from sqlalchemy.exc import SQLAlchemyError

from quartapp import reporting
from quartapp.flasklike import Blueprint
from quartapp.microblog.database import db
from quartapp.throttling.throttle import current_throttle

blueprint = Blueprint("health", __name__)

_logger = logging.getLogger(__name__)


@blueprint.get("/health")
async def health() -> dict[str, str]:
    """The process is running."""
    return {"status": "ok"}


@blueprint.get("/ready")
async def ready() -> tuple[dict[str, str], int]:
    """The database answers and has the needed tables, and errors are recorded and counted;
    otherwise 503, which is not reported as an error."""
    faults: dict[str, str] = {}
    try:
        await db.database.ping()
        fault = await _tables_fault()
    except (SQLAlchemyError, OSError):
        faults = {"database": "unreachable"}
    else:
        if fault:
            faults = {"database": "not migrated", "reason": fault}
        elif reporting.trouble():  # which is in the log, and may name paths
            faults = {"database": "ok", "errors": "not counted"}
    if faults:
        reporting.expect("ready")
        return {"status": "unavailable"} | faults, 503
    return {"status": "ok", "database": "ok"} | await _degraded(), 200


async def _degraded() -> dict[str, str]:
    """What works, but not as it should."""
    return {"throttling": "without Redis"} if await current_throttle().is_degraded() else {}


async def _tables_fault() -> str:
    """Why the tables are not those of this version, logged once."""
    fault = await db.tables_fault()
    if fault and fault != current_app.extensions.get("tables_fault"):
        _logger.error(fault)
    current_app.extensions["tables_fault"] = fault
    return fault
