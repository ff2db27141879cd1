"""The blueprint to which every module of the API adds its views."""

from quartapp.flasklike import Blueprint

blueprint = Blueprint("api", __name__, url_prefix="/api")
