"""A status for which Werkzeug has no class: make one, and register the class, not the number."""

from flask import Flask
from werkzeug.exceptions import HTTPException


class InsufficientStorage(HTTPException):
    code = 507
    description = "There is no room left for this upload."


app = Flask(__name__)


@app.errorhandler(InsufficientStorage)
def no_room(error: InsufficientStorage) -> tuple[dict[str, str | None], int]:
    return {"error": error.description}, 507


@app.post("/uploads")
def upload() -> str:
    raise InsufficientStorage()
