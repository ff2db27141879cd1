"""The handler of 500 gets an InternalServerError, with the error behind it if there is one."""

from werkzeug.exceptions import InternalServerError

from quartapp.flasklike import App, abort

app = App(__name__)


@app.errorhandler(500)
async def failed(error: InternalServerError) -> tuple[str, int]:
    original = error.original_exception
    if original is None:
        return "Someone said abort(500).", 500
    return f"Nobody expected a {type(original).__name__}.", 500


@app.get("/asked")
async def asked() -> str:
    abort(500)


@app.get("/unexpected")
async def unexpected() -> str:
    raise ConnectionError("the search engine is away")
