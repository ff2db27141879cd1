"""Custom error pages. The status must be given: like a view's, a handler's default is 200."""

from werkzeug.exceptions import HTTPException

from quartapp.flasklike import App, render_template

app = App(__name__)


@app.errorhandler(404)
async def absent(error: HTTPException) -> tuple[str, int]:
    return await render_template("404.html"), 404


@app.errorhandler(500)
async def failed(error: HTTPException) -> tuple[str, int]:
    return await render_template("500.html"), 500


@app.get("/")
async def index() -> str:
    return "the timeline"


@app.get("/followers")
async def followers() -> str:
    raise RuntimeError("the database is away")
