"""A microblog on Quart that shows how an async web application should fail."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quartapp.flasklike import App
    from quartapp.microblog.config import Settings

__version__ = "0.2.0"


def create_app(settings: "Settings | None" = None) -> "App":
    """Make the application; see `quartapp.microblog.app.create_app`."""
    # Inside the function: the development server imports this package before it can show the
    # syntax error that a developer just made in one of its modules.
    from quartapp.microblog.app import create_app as create

    return create(settings)
