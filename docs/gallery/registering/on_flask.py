"""A handler for a class, the same for its code, and one that is registered without a decorator."""

from flask import Flask, abort
from werkzeug.exceptions import BadRequest, NotFound

app = Flask(__name__)


@app.errorhandler(BadRequest)
def refuse(error: BadRequest) -> tuple[str, int]:
    return f"We do not understand: {error.description}", 400


def absent(error: NotFound) -> tuple[str, int]:
    return "There is no such post.", 404


app.register_error_handler(404, absent)


@app.get("/posts/<int:number>")
def post(number: int) -> str:
    if number == 0:
        abort(400, "posts are counted from 1")
    if number > 3:
        abort(404)
    return f"Post {number}"
