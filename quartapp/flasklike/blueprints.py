"""Blueprints."""

import quart

from quartapp.flasklike.static import StaticFiles


class Blueprint(StaticFiles, quart.Blueprint):  # type: ignore[misc]  # as `App`
    """A blueprint whose static files are sent as Flask sends them."""
