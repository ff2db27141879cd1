"""A status for which Werkzeug has no class: make one, and register the class, not the number."""

from werkzeug.exceptions import HTTPException

from quartapp.flasklike import App


class InsufficientStorage(HTTPException):
    code = 507
    description = "There is no room left for this upload."


app = App(__name__)


@app.errorhandler(InsufficientStorage)
async def no_room(error: InsufficientStorage) -> tuple[dict[str, str | None], int]:
    return {"error": error.description}, 507


@app.post("/uploads")
async def upload() -> str:
    raise InsufficientStorage()
