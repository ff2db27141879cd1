"""The composition root: the only module that knows all parts."""

from functools import partial
from pathlib import Path
from typing import Any

from quartapp import __version__, errors, logfile, reporting
from quartapp import database as db
from quartapp.errors import admission, bounds, deadlines, headers
from quartapp.flasklike import App
from quartapp.logfile.record import Cleaner
from quartapp.microblog import (
    accounts,
    api,
    domain_errors,
    identity,
    passwords,
    throttling,
    trail,
    web,
)
from quartapp.microblog.config import Settings, load_settings
from quartapp.microblog.credentials import guessing
from quartapp.microblog.web import protection
from quartapp.microblog.web.validation import MAX_FORM_PARTS
from quartapp.permissions import make_private
from quartapp.redact.places import Places
from quartapp.redact.scrub import Scrubber
from quartapp.serving import proxies

NAME = "microblog"
"""The name in the subjects of mails and of the log file."""

_FOLDER = Path(__file__).parent

_STYLESHEETS = ("/static/pico.classless.min.css", "/static/app.css")

MAX_CONTENT_LENGTH = 1024 * 1024
"""The most bytes of a request body. The largest form is a post of 140 characters."""


class Microblog(App):
    """The application. Its `debug` is the setting DEBUG, not QUART_DEBUG."""

    @property
    def debug(self) -> bool:
        return bool(self.config["DEBUG"])

    @debug.setter
    def debug(self, value: bool) -> None:
        """Ignored: the command `quart` assigns QUART_DEBUG, and the settings take precedence."""


def create_app(settings: Settings | None = None) -> App:
    """Build the application. Nothing connects, and nothing is read except the settings.

    Without `settings` they are read from the environment. Raises ConfigurationError for invalid
    ones.
    """
    settings = settings or load_settings()
    app = Microblog("quartapp", root_path=str(_FOLDER), instance_path=str(settings.instance_path))
    app.config.from_mapping(configuration(settings))
    database = db.Database(
        settings.database_url,
        pool_size=settings.database_pool_size,
        pool_queue=settings.database_queue,
        statement_timeout=settings.database_timeout or None,
    )
    places = Places(_FOLDER, name="quartapp")
    known = [*reporting.secrets_of(app.config, database), *settings.redis_secrets]
    scrubber = Scrubber(known=known)
    db.init_app(app, database)
    identity.init_app(app, settings)
    passwords.init_app(app, settings)
    trail.init_app(app, database)
    accounts.init_app(app, settings, database)
    guessing.connect(accounts.warn_of_guessing, app)
    throttling.init_app(app, settings)
    errors.init_app(app, errors.PlainPage("Microblog", _STYLESHEETS))
    domain_errors.init_app(app)
    web.init_app(app)
    api.init_app(app)
    deadlines.init_app(app)
    admission.init_app(app)
    bounds.init_app(app)
    headers.init_app(app, protection.response_headers(app.config))
    proxies.init_app(app)
    clean = Cleaner(places=places, scrubber=scrubber, request_secrets=reporting.request_secrets)
    logfile.init_app(app, name=NAME, clean=clean)
    reporting.init_app(
        app,
        database,
        name=NAME,
        places=places,
        scrubber=scrubber,
        version=__version__,
        user_id=identity.visitor_id,
        faults=list(filter(None, [settings.host_fault, settings.server_fault])),
    )
    # Called by the development server (`quartapp.debugger.server.process`).
    app.extensions["debugger.prepare"] = partial(_migrate, settings.database_url)
    app.before_serving(partial(make_private, app.instance_path))
    app.before_serving(database.warm_up)
    app.after_serving(database.dispose)
    return app


def _migrate(database_url: str) -> None:
    from quartapp.microblog.migrate import migrate  # only where migrations are run

    migrate(database_url)


def configuration(settings: Settings) -> dict[str, Any]:
    """`app.config`: the settings, and Quart's keys that follow from them."""
    return settings.to_config() | {
        "TESTING": settings.environment == "testing",
        "SESSION_COOKIE_NAME": "__Host-session" if settings.cookie_secure else "session",
        "SESSION_COOKIE_PATH": "/",
        "SESSION_COOKIE_SECURE": settings.cookie_secure,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "TRUSTED_HOSTS": list(settings.trusted_hosts) or None,
        "MAX_CONTENT_LENGTH": MAX_CONTENT_LENGTH,
        "MAX_FORM_PARTS": MAX_FORM_PARTS,
        "TEMPLATES_AUTO_RELOAD": settings.debug,
    }
