"""Serve the microblog with the settings of the environment: what run.py calls."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from click import ClickException

from quartapp.microblog.app import create_app
from quartapp.microblog.config import LocalSettings, Settings, debug_switches, load_settings
from quartapp.microblog.migrate import migrate
from quartapp.serving import server
from quartapp.serving.server import EXIT_MISCONFIGURED
from quartapp.serving.stopping import EXIT_FAILED
from quartapp.settings import ConfigurationError

HELP = """Usage: python run.py [OPTIONS]

Serve the microblog with the settings of the environment and of .env, until SIGTERM or Ctrl-C.

Options:
  --migrate  First migrate the database to this version. To migrate and not serve, run
             'quartapp db upgrade'.
  --local    For your own machine: also generate and keep a secret key, and migrate.
  --help     Show this and exit.

The exit code is 0 after a clean stop, 1 if serving or migrating failed, 2 if a setting is wrong.
docs/operate.md lists the settings."""

_OPTIONS = ("--migrate", "--local", "--help")


def main(arguments: Sequence[str] = ()) -> int:
    """Serve until SIGINT or SIGTERM; returns the exit code. A fault is one sentence on stderr."""
    if unknown := [each for each in arguments if each not in _OPTIONS]:
        reason = f"unknown option {unknown[0]!r}; known are {', '.join(_OPTIONS)}"
        return server.refuse(reason, EXIT_MISCONFIGURED)
    if "--help" in arguments:
        print(HELP)  # noqa: T201 it is for the terminal
        return 0
    kind = LocalSettings if "--local" in arguments else Settings
    try:
        settings = load_settings(kind)
        if arguments and (done := migrate(settings.database_url)):
            server.say(done)
    except ClickException as error:
        is_setting = isinstance(error, ConfigurationError)
        return server.refuse(error.message, EXIT_MISCONFIGURED if is_setting else EXIT_FAILED)
    for name in debug_switches():
        server.say(
            f"{name} has no effect: this server has no debugger. It is in the development server,"
            " 'make dev' or 'quart --app quartapp dev'."
        )
    # uvloop saves CPU with a database that is queried over sockets. With SQLite it saves nothing,
    # and new connections wait longer for their first response (docs/decisions/0077).
    use_uvloop = not settings.database_url.startswith("sqlite")
    return server.run(partial(_application, kind), settings, use_uvloop=use_uvloop)


def _application(kind: type[Settings]) -> Any:
    return create_app(load_settings(kind))
