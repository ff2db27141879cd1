"""The JSON API, for programs: JSON in, JSON out. May not import `web` or `errors`.

A view has up to three decorators, from the outside in: `token_required` (who calls), `takes` (the
validated body), `answers` (what the OpenAPI document says about it). It raises errors of the
domain, which become problem+json. Only a bearer token identifies the caller, never a cookie.
Another site cannot make a browser send one, so there is no CSRF token here.
"""

from quart import Quart

from quartapp.microblog.api import errors, followers, openapi, posts, tokens, users
from quartapp.microblog.api.blueprint import blueprint
from quartapp.microblog.api.ids import IdConverter

__all__ = ["errors", "followers", "init_app", "openapi", "posts", "tokens", "users"]


def init_app(app: Quart) -> None:
    """Register the API under /api."""
    app.url_map.converters["id"] = IdConverter
    # quart-schema's provider reads these; its extension, which would set them, is not installed.
    app.config["QUART_SCHEMA_CONVERSION_PREFERENCE"] = "pydantic"
    app.config["QUART_SCHEMA_CONVERT_CASING"] = False
    app.register_blueprint(blueprint)
