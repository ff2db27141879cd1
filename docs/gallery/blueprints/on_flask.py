"""Blueprints have their own handlers, but an unknown URL belongs to no blueprint.

Routing failed, so nobody can know to which blueprint a URL under /api would have belonged. 404 and
405 are therefore answered by the application, which looks at the path.
"""

from flask import Blueprint, Flask, abort, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException


class Rejected(Exception):
    """A post that the moderators do not want."""


api = Blueprint("api", __name__, url_prefix="/api")
pages = Blueprint("pages", __name__)


@api.errorhandler(Rejected)
@pages.errorhandler(Rejected)
def rejected(error: Rejected) -> tuple[str, int]:
    return f"rejected by {request.blueprint}", 422


@api.errorhandler(404)
def missing(error: HTTPException) -> tuple[str, int]:
    return "a view of the API said 404", 404


@api.get("/posts/<int:number>")
def post(number: int) -> str:
    if number == 13:
        raise Rejected
    abort(404)


@pages.get("/post/<int:number>")
def page(number: int) -> str:
    raise Rejected


def routing_error(error: HTTPException) -> ResponseReturnValue | HTTPException:
    if request.path.startswith("/api/"):
        return jsonify(error=error.name), error.code or 500
    return error


app = Flask(__name__)
app.register_blueprint(api)
app.register_blueprint(pages)
app.register_error_handler(404, routing_error)
app.register_error_handler(405, routing_error)
