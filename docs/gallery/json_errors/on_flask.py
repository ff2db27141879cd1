"""An API says what was wrong in JSON: the description given to `abort` reaches the handler."""

from flask import Flask, Response, abort, jsonify, request
from werkzeug.exceptions import HTTPException

app = Flask(__name__)


@app.errorhandler(404)
def absent(error: HTTPException) -> tuple[Response, int]:
    return jsonify(error=str(error)), 404


@app.errorhandler(400)
@app.errorhandler(415)
def unreadable(error: HTTPException) -> tuple[Response, int]:
    return jsonify(error=error.name), error.code or 400


@app.get("/users/<name>")
def user(name: str) -> str:
    abort(404, description=f"nobody is called {name}")


@app.post("/users")
def create() -> tuple[Response, int]:
    values = request.get_json()
    return jsonify(name=values["name"]), 201
