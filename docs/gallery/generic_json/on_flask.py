"""One handler for all HTTP errors: keep status and headers of the answer, make its body JSON."""

from flask import Flask, json
from werkzeug.exceptions import HTTPException, TooManyRequests
from werkzeug.wrappers import Response

app = Flask(__name__)


@app.errorhandler(HTTPException)
def as_json(error: HTTPException) -> Response:
    response = error.get_response()
    assert isinstance(response, Response)
    response.data = json.dumps(
        {"code": error.code, "name": error.name, "description": error.description}
    )
    response.content_type = "application/json"
    return response


@app.get("/search")
def search() -> str:
    raise TooManyRequests("One search a minute.", retry_after=60)


@app.get("/broken")
def broken() -> str:
    raise KeyError("not an HTTP error, but it becomes one")
