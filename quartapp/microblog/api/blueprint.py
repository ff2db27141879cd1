"""The blueprint to which every module of the API adds its views."""

from quart import Response

from quartapp.flasklike import Blueprint

blueprint = Blueprint("api", __name__, url_prefix="/api")


@blueprint.after_request
async def keep_nothing(response: Response) -> Response:
    """Let no cache store a response: it is meant for the owner of a token, or is a token."""
    response.headers.setdefault("Cache-Control", "no-store")
    return response
