"""The application class."""

from quart import Quart


class App(Quart):
    """A Quart application whose errors behave as Flask's documentation says."""
