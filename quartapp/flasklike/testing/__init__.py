"""The test client, what it sends and what it returns, and the runner of commands."""

from quartapp.flasklike.testing.client import Client as Client
from quartapp.flasklike.testing.commands import CliRunner as CliRunner
from quartapp.flasklike.testing.requests import EnvironBuilder as EnvironBuilder

FlaskClient = QuartClient = Client
FlaskCliRunner = QuartCliRunner = CliRunner
