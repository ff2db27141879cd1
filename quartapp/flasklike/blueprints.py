"""Blueprints."""

import quart

from quartapp.flasklike.static import StaticFiles


class Blueprint(StaticFiles, quart.Blueprint):
    """A blueprint whose static files are sent as Flask sends them."""
