"""Reporting, built from the settings and put into an application."""

import asyncio
import logging
import sys
from functools import partial
from pathlib import Path

from pydantic import SecretStr
from quart import Quart
from sqlalchemy.engine import make_url

from quartapp.database import Database
from quartapp.logfile import handler as logs
from quartapp.logfile.record import Cleaner
from quartapp.logfile.rotation import RotatingFile
from quartapp.mail.smtp import Server
from quartapp.microblog.config import Settings
from quartapp.redact.places import Places
from quartapp.redact.scrub import Scrubber
from quartapp.reporting.alerts.evaluate import Rules
from quartapp.reporting.alerts.policy import Limits
from quartapp.reporting.capture.origin import origin
from quartapp.reporting.counting.consumer import Drainer
from quartapp.reporting.hooks.install import Doors
from quartapp.reporting.hooks.request_context import UserId, of_secrets
from quartapp.reporting.journal.writer import Journal
from quartapp.reporting.mails.mailer import Mailer
from quartapp.reporting.mails.message import Letterhead
from quartapp.reporting.pipeline import Pipeline
from quartapp.reporting.recorder import Recorder
from quartapp.reporting.sinks.sentry import Sentry

_PACKAGE = Path(__file__).parents[1]
# The ground below the application: its frames say no more than those of Quart.
_APART = ("database", "debugger", "flasklike", "logfile", "mail", "redact", "reporting")


def init_app(
    app: Quart, settings: Settings, database: Database, *, user_id: UserId = lambda: ""
) -> None:
    """Record every error of an application from now on, and count and mail them while it serves.

    Call it after all other middleware wrapped `app.asgi_app`, and before `database.dispose` is
    registered to run after serving. `user_id` says who makes the current request, from memory.
    """
    places = Places(_PACKAGE, apart=_APART)
    scrubber = Scrubber(known=secrets_of(settings))
    source = origin(settings.environment, settings.release)
    journal = Journal(settings.instance_path / "journal", fsync=settings.errors_fsync)
    recorder = Recorder(journal, places=places, origin=source, scrubber=scrubber)
    limits = Limits(every_occurrence=settings.errors_every_occurrence)
    rules = Rules(host=source.host, limits=limits, mails=mails_are_on(settings))
    pipeline = Pipeline(
        database=database,
        journal=journal,
        recorder=recorder,
        doors=Doors(app, recorder, user_id),
        drainer=Drainer(journal, database, rules),
        mailer=_mailer(settings, database, limits),
        fsync=settings.errors_fsync,
    )
    app.extensions["reporting"] = pipeline
    log = Log(app, settings, places, scrubber)
    log.begin()
    pipeline.doors.open()
    app.before_serving(log.serve)
    app.before_serving(pipeline.start)
    app.after_serving(pipeline.stop)
    if settings.sentry_dsn:
        sentry = Sentry(settings.sentry_dsn.get_secret_value())
        recorder.listeners.append(sentry)
        app.after_serving(partial(asyncio.to_thread, sentry.close))


def secrets_of(settings: Settings) -> list[str]:
    """What must not stand in any report, under whatever name."""
    password = make_url(settings.database_url).password
    held = (settings.secret_key, settings.mail_password, settings.sentry_dsn, password)
    values = (each.get_secret_value() if isinstance(each, SecretStr) else each for each in held)
    return [str(value) for value in values if value]


def mails_are_on(settings: Settings) -> bool:
    """As in the tutorial: with MAIL_SERVER, and never under debug."""
    return bool(settings.mail_server) and not settings.debug


def _mailer(settings: Settings, database: Database, limits: Limits) -> Mailer | None:
    if not (mails_are_on(settings) and settings.mail_server):
        return None
    server = Server(
        host=settings.mail_server,
        port=settings.mail_port,
        starttls=settings.mail_use_tls,
        tls=settings.mail_use_ssl,
        username=settings.mail_username or "",
        password=settings.mail_password.get_secret_value() if settings.mail_password else "",
    )
    letterhead = Letterhead(
        sender=_sender(settings, settings.mail_server),
        recipients=settings.admins,
        environment=settings.environment,
        prefix=settings.mail_subject_prefix,
        domain=settings.mail_server,
        inbox_url=settings.inbox_url,
    )
    return Mailer(database, server, letterhead, limits)


def _sender(settings: Settings, server: str) -> str:
    """Many providers take mails only from the address that is logged in."""
    if settings.mail_from:
        return settings.mail_from
    username = settings.mail_username or ""
    return username if "@" in username else f"no-reply@{server}"


class Log:
    """Where the application's log goes: to the terminal, and while serving to the file."""

    def __init__(self, app: Quart, settings: Settings, places: Places, scrubber: Scrubber) -> None:
        self._logger = logging.getLogger(app.name)
        self._settings = settings
        self._is_quiet = settings.environment == "testing"
        self._clean = Cleaner(places=places, scrubber=scrubber, describe=of_secrets)
        self._stream_formatter = logging.Formatter(logs.STREAM_FORMAT)
        self._file_formatter = logging.Formatter(logs.FILE_FORMAT)
        self._file = RotatingFile(
            logs.log_path(settings.log_dir),
            max_bytes=settings.log_max_bytes,
            backups=settings.log_backup_count,
        )

    def begin(self) -> None:
        """Log to standard error, as commands do: their standard output is for their results."""
        if self._is_quiet:  # a suite of tests looks at the records, not at lines
            logs.attach(self._logger, None, alone=False)
            if not any(isinstance(h, logging.NullHandler) for h in self._logger.handlers):
                self._logger.addHandler(logging.NullHandler())
            return
        self._logger.setLevel(logging.DEBUG if self._settings.debug else logging.INFO)
        self._attach(logs.to_stream(sys.stderr, self._stream_formatter))

    async def serve(self) -> None:
        """Log as a server does, and say once that it has started."""
        if self._is_quiet:
            return
        if self._settings.log_to_stdout:
            self._attach(logs.to_stream(sys.stdout, self._file_formatter))
        elif not self._settings.debug:
            file = logs.to_file(self._file, self._file_formatter)
            self._attach(logs.to_stream(sys.stderr, self._stream_formatter), file)
        if logs.is_first_worker(self._file):
            self._logger.info(logs.STARTUP)

    def _attach(self, *targets: logs.Target) -> None:
        logs.attach(self._logger, logs.ThreadedHandler(*targets, clean=self._clean), alone=True)
