"""A custom exception that carries a message, a status and details to an API's clients."""

from typing import Any

from quart import Response, jsonify, request

from quartapp.flasklike import App

app = App(__name__)


class InvalidUsage(Exception):
    """An error of the caller, with a message for them; the status is 400 unless given."""

    def __init__(self, message: str, status: int = 400, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.details = details


@app.errorhandler(InvalidUsage)
async def invalid_usage(error: InvalidUsage) -> tuple[Response, int]:
    return jsonify(message=error.message, **error.details), error.status


@app.get("/messages")
async def messages() -> str:
    limit = request.args.get("limit", type=int)
    if limit is None:
        raise InvalidUsage("say how many messages you want", parameter="limit")
    if limit > 100:
        raise InvalidUsage("that is too much at once", status=422, parameter="limit", most=100)
    return f"{limit} messages"
