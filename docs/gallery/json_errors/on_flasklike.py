"""An API says what was wrong in JSON: the description given to `abort` reaches the handler."""

from quart import Response, jsonify, request
from werkzeug.exceptions import HTTPException

from quartapp.flasklike import App, abort

app = App(__name__)


@app.errorhandler(404)
async def absent(error: HTTPException) -> tuple[Response, int]:
    return jsonify(error=str(error)), 404


@app.errorhandler(400)
@app.errorhandler(415)
async def unreadable(error: HTTPException) -> tuple[Response, int]:
    return jsonify(error=error.name), error.code or 400


@app.get("/users/<name>")
async def user(name: str) -> str:
    abort(404, description=f"nobody is called {name}")


@app.post("/users")
async def create() -> tuple[Response, int]:
    values = await request.get_json()
    return jsonify(name=values["name"]), 201
