"""The blueprint to which every module of the API adds its views."""

from quartapp.flasklike import Blueprint
from quartapp.microblog.throttling import limit_api

blueprint = Blueprint("api", __name__, url_prefix="/api")
blueprint.before_request(limit_api)
