"""The application class."""

from quart import Quart

from quartapp.flasklike.debugging import Debugger


class App(Quart):
    """A Quart application whose errors behave as Flask's documentation says."""

    debugger: Debugger | None = None
