"""Custom error pages. The status must be given: like a view's, a handler's default is 200."""

from flask import Flask, render_template
from werkzeug.exceptions import HTTPException

app = Flask(__name__)


@app.errorhandler(404)
def absent(error: HTTPException) -> tuple[str, int]:
    return render_template("404.html"), 404


@app.errorhandler(500)
def failed(error: HTTPException) -> tuple[str, int]:
    return render_template("500.html"), 500


@app.get("/")
def index() -> str:
    return "the timeline"


@app.get("/followers")
def followers() -> str:
    raise RuntimeError("the database is away")
