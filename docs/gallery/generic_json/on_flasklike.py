"""One handler for all HTTP errors: keep status and headers of the answer, make its body JSON."""

from quart import json
from werkzeug.exceptions import HTTPException, TooManyRequests
from werkzeug.wrappers import Response

from quartapp.flasklike import App

app = App(__name__)


@app.errorhandler(HTTPException)
async def as_json(error: HTTPException) -> Response:
    response = error.get_response()
    assert isinstance(response, Response)
    response.data = json.dumps(
        {"code": error.code, "name": error.name, "description": error.description}
    )
    response.content_type = "application/json"
    return response


@app.get("/search")
async def search() -> str:
    raise TooManyRequests("One search a minute.", retry_after=60)


@app.get("/broken")
async def broken() -> str:
    raise KeyError("not an HTTP error, but it becomes one")
