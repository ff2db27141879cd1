"""The composition root: the only module that knows everyone."""

from functools import partial
from pathlib import Path
from typing import Any

from quartapp import __version__, errors, logfile, reporting
from quartapp import database as db
from quartapp.errors import admission
from quartapp.flasklike import App
from quartapp.logfile.record import Cleaner
from quartapp.microblog import api, domain_errors, identity, web
from quartapp.microblog.config import Settings, load_settings
from quartapp.redact.places import Places
from quartapp.redact.scrub import Scrubber

NAME = "microblog"
"""As the subjects of mails and the log file have it."""

_FOLDER = Path(__file__).parent

MAX_CONTENT_LENGTH = 1024 * 1024
"""Bytes of a request's body. The largest form is a post of 140 characters."""


class Microblog(App):
    """The application. Its DEBUG is the setting of that name: `quart` would set it otherwise."""

    @property
    def debug(self) -> bool:
        return bool(self.config["DEBUG"])

    @debug.setter
    def debug(self, value: bool) -> None:
        """Ignored: `quart` assigns QUART_DEBUG here, and the settings win over it."""


def create_app(settings: Settings | None = None) -> App:
    """Build the application: calls only, nothing connects and nothing is read but the settings.

    Without `settings` they come from the environment; raises ConfigurationError for bad ones.
    """
    settings = settings or load_settings()
    app = Microblog("quartapp", root_path=str(_FOLDER), instance_path=str(settings.instance_path))
    app.config.from_mapping(configuration(settings))
    database = db.Database(settings.database_url, pool_size=settings.database_pool_size)
    places = Places(_FOLDER, name="quartapp")
    scrubber = Scrubber(known=reporting.secrets_of(app.config, database))
    db.init_app(app, database)
    identity.init_app(app, settings)
    errors.init_app(app)
    domain_errors.init_app(app)
    web.init_app(app)
    api.init_app(app)
    admission.init_app(app)
    clean = Cleaner(places=places, scrubber=scrubber, describe=reporting.request_secrets)
    logfile.init_app(app, name=NAME, clean=clean)
    reporting.init_app(
        app,
        database,
        name=NAME,
        places=places,
        scrubber=scrubber,
        version=__version__,
        user_id=identity.visitor_id,
    )
    # Called by the development server: see `quartapp.debugger.server.command`.
    app.extensions["debugger.prepare"] = partial(_migrate, settings.database_url)
    app.before_serving(database.warm_up)
    app.after_serving(database.dispose)
    return app


def _migrate(database_url: str) -> None:
    from quartapp.microblog.migrate import migrate  # which imports Alembic's surroundings

    migrate(database_url)


def configuration(settings: Settings) -> dict[str, Any]:
    """The settings, and what follows from them for Quart."""
    return settings.to_config() | {
        "TESTING": settings.environment == "testing",
        "SESSION_COOKIE_SECURE": settings.cookie_secure,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "MAX_CONTENT_LENGTH": MAX_CONTENT_LENGTH,
        "TEMPLATES_AUTO_RELOAD": settings.debug,
    }
