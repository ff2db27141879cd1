"""Serve the microblog with the settings of the environment: what run.py calls."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from quartapp.microblog.app import create_app
from quartapp.microblog.config import LocalSettings, Settings, debug_switches, load_settings
from quartapp.microblog.migrate import migrate
from quartapp.serving import server
from quartapp.serving.server import EXIT_MISCONFIGURED
from quartapp.settings import ConfigurationError


def main(arguments: Sequence[str] = ()) -> int:
    """Serve until SIGINT or SIGTERM; returns the exit code. Each fault is one sentence on stderr.

    With `--local` a missing secret key is generated and kept, and the database is migrated first.
    """
    if unknown := set(arguments) - {"--local"}:
        reason = f"unknown argument {sorted(unknown)[0]!r}; known is --local"
        return server.refuse(reason, EXIT_MISCONFIGURED)
    kind = LocalSettings if "--local" in arguments else Settings
    try:
        settings = load_settings(kind)
        if kind is LocalSettings:
            migrate(settings.database_url)
    except ConfigurationError as error:
        return server.refuse(str(error), EXIT_MISCONFIGURED)
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
