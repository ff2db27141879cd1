"""The test client, what it sends and what it returns."""

from quartapp.flasklike.testing.client import Client as Client
from quartapp.flasklike.testing.requests import EnvironBuilder as EnvironBuilder

FlaskClient = Client
"""Flask's name."""

QuartClient = Client
"""Quart's name."""
