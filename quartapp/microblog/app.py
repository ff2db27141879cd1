"""The composition root: the only module that knows all parts."""

from functools import partial
from pathlib import Path
from typing import Any

import click
from sqlalchemy.engine import make_url

from quartapp import __version__, reporting
from quartapp.database import DatabaseEngine
from quartapp.database.drivers import sqlite
from quartapp.errors import ErrorPages
from quartapp.flasklike import App
from quartapp.flasklike.cli import QuartGroup, run_command
from quartapp.inbox import Inbox
from quartapp.logfile import LogFile
from quartapp.logfile.record import Cleaner
from quartapp.microblog import (
    accounts,
    administrators,
    api,
    domain_errors,
    identity,
    passwords,
    throttling,
    trail,
    web,
)
from quartapp.microblog.commands import COMMANDS
from quartapp.microblog.config import INBOX_PATH, Settings, ToolSettings, load_settings
from quartapp.microblog.credentials import guessing
from quartapp.microblog.database import db
from quartapp.microblog.web import protection
from quartapp.microblog.web.validation import MAX_FORM_PARTS
from quartapp.permissions import make_private
from quartapp.redact.places import Places
from quartapp.redact.scrub import Scrubber
from quartapp.request_ids import RequestIds
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
    ones. Commands of `quart` need no SECRET_KEY, except `run`.
    """
    settings = settings or load_settings(_kind_of_settings())
    app = Microblog("quartapp", root_path=str(_FOLDER), instance_path=str(settings.instance_path))
    app.config.from_mapping(configuration(settings))
    db.init_app(app)
    database: DatabaseEngine = app.extensions["database"]
    places = Places(_FOLDER, name="quartapp")
    known = [*reporting.secrets_of(app.config, database), *settings.redis_secrets]
    scrubber = Scrubber(known=known)
    identity.init_app(app, settings)
    administrators.init_app(app)
    passwords.init_app(app, settings)
    trail.init_app(app, database)
    accounts.init_app(app, settings, database)
    guessing.connect(accounts.warn_of_guessing, app)
    throttling.init_app(app, settings)
    pages = ErrorPages(
        app,
        name="Microblog",
        stylesheets=_STYLESHEETS,
        admission=True,
        deadlines=True,
        bounds=True,
        feedback=True,
        headers=protection.response_headers(app.config),
    )
    domain_errors.register(app, pages)
    web.init_app(app)
    api.init_app(app)
    proxies.init_app(app)
    clean = Cleaner(places=places, scrubber=scrubber, request_secrets=reporting.request_secrets)
    LogFile(app, name=NAME, clean=clean)
    reporting.Reporting(
        app,
        database=database,
        name=NAME,
        places=places,
        scrubber=scrubber,
        version=__version__,
        user_id=identity.visitor_id,
        faults=list(filter(None, [settings.host_fault, settings.server_fault])),
    )
    RequestIds(app)
    Inbox(
        app,
        url_prefix=INBOX_PATH,
        allow=administrators.administrator,
        on_act=administrators.record_act,
    )
    if settings.metrics_token is not None:
        _measure(app)
    # Called by the development server (`quartapp.debugger.server.process`).
    app.extensions["debugger.prepare"] = partial(_migrate, settings.database_url)
    for command in COMMANDS:
        app.cli.add_command(command)
    app.before_serving(partial(make_private, app.instance_path))
    return app


def _kind_of_settings() -> type[Settings]:
    """Commands sign nothing; `quart` makes the application to find its commands."""
    context = click.get_current_context(silent=True)
    if context is None or not isinstance(context.find_root().command, QuartGroup):
        return Settings  # also under the servers whose command line is click's
    return Settings if context.command is run_command else ToolSettings


def _measure(app: App) -> None:
    from quartapp.metrics import Metrics  # only where they are asked for

    Metrics(app, outboxes={"accounts": lambda: app.extensions["accounts"].mailer})


def _migrate(database_url: str) -> None:
    from quartapp.microblog.migrate import migrate  # only where migrations are run

    migrate(database_url)


def configuration(settings: Settings) -> dict[str, Any]:
    """`app.config`: the settings, and Quart's keys that follow from them."""
    return settings.to_config() | {
        "DATABASE_URL": _absolute(settings.database_url),
        "ERRORS_DATABASE_URL": _absolute(settings.errors_database_url),
        "TESTING": settings.environment == "testing",
        "SESSION_COOKIE_NAME": "__Host-session" if settings.cookie_secure else "session",
        "SESSION_COOKIE_PATH": "/",
        "SESSION_COOKIE_SECURE": settings.cookie_secure,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "TRUSTED_HOSTS": list(settings.trusted_hosts) or None,
        "ERRORS_CONTACT": settings.contact,
        "MAX_CONTENT_LENGTH": MAX_CONTENT_LENGTH,
        "MAX_FORM_PARTS": MAX_FORM_PARTS,
        "TEMPLATES_AUTO_RELOAD": settings.debug,
    }


def _absolute(database_url: str) -> str:
    """A relative file is in the working directory; the parts would look in the instance folder."""
    if not database_url:
        return ""
    url = make_url(database_url)
    if file := sqlite.database_file(url):
        url = url.set(database=str(file.absolute()))
    return url.render_as_string(hide_password=False)
