"""A handler for every error: it sees 404 and 405 too, so it hands HTTP errors back as they are.

Errors that it answers count as handled: they are neither logged nor signalled.
"""

from flask import Flask
from werkzeug.exceptions import HTTPException

app = Flask(__name__)


@app.errorhandler(Exception)
def anything(error: Exception) -> HTTPException | tuple[str, int]:
    if isinstance(error, HTTPException):
        return error
    return "Something that is not your fault.", 500


@app.get("/")
def index() -> str:
    raise ZeroDivisionError
