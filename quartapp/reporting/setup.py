"""Builds reporting from the settings of an application, and installs it."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quart import Quart, current_app
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from quartapp.database import Database, DatabaseEngine
from quartapp.database.url import in_folder
from quartapp.installation import check_installable
from quartapp.mail.delivery import MAILBOX, Server
from quartapp.redact.config import config_secrets
from quartapp.redact.places import Places
from quartapp.redact.scrub import Scrubber
from quartapp.reporting.alerts.evaluation import Rules
from quartapp.reporting.alerts.policy import Limits
from quartapp.reporting.capture.origin import host, origin
from quartapp.reporting.counting.consumer import Consumer
from quartapp.reporting.hooks.mechanisms import Mechanisms
from quartapp.reporting.hooks.request_context import UserId, nobody
from quartapp.reporting.hooks.request_state import current_state
from quartapp.reporting.journal.writer import Journal
from quartapp.reporting.pipeline import Pipeline
from quartapp.reporting.recorder import Recorder
from quartapp.reporting.report import Origin
from quartapp.reporting.retention import Keep, Retention
from quartapp.reporting.schema import prepare
from quartapp.reporting.settings import ReportingSettings
from quartapp.reporting.sinks.sentry import Sentry
from quartapp.reporting.tables import metadata

_TIMEOUT = 10.0
"""Seconds that a statement in a database of reporting itself may take."""

MAILBOX_EVERY = 0.3
"""Seconds between two looks at the outbox in development, where a person waits for the mail."""

if TYPE_CHECKING:
    from quartapp.mail.mailbox import Mailbox
    from quartapp.reporting.mails.message import Letterhead


class Reporting:
    """Records every error of an application, and counts and mails them while it serves.

        app = Quart(__name__)
        app.config["ADMINS"] = ["you@example.com"]
        Reporting(app)

    Or `reporting = Reporting(...)`, then `reporting.init_app(app)` in a factory: one object serves
    any number of applications. What belongs to one of them is `app.extensions["reporting"]`, a
    `Pipeline`.

    `database` is where errors are counted, unless ERRORS_DATABASE_URL names another one; without
    both it is the file `errors.db` in `app.instance_path`. Reporting makes and upgrades the tables
    in that file and in the database of ERRORS_DATABASE_URL. In one that is handed in they belong to
    the application's migrations: `Reporting.metadata` is for Alembic's `target_metadata`.

    The others have defaults that are made of the application: `name` is in the subjects of mails
    (`app.name`), `places` tells its code from that of libraries (`app.root_path`), `scrubber` hides
    secrets (those of `app.config`), `version` is its release if neither RELEASE nor git has one.
    `user_id` returns who makes the current request, from memory: a text, a number or a UUID, or
    None. `faults` are sentences on settings that are dangerous together: they are logged when the
    application begins to serve, and `errors doctor` shows them.
    """

    metadata = metadata

    def __init__(
        self,
        app: Quart | None = None,
        *,
        database: Database | DatabaseEngine | AsyncEngine | None = None,
        name: str = "",
        places: Places | None = None,
        scrubber: Scrubber | None = None,
        version: str = "",
        user_id: UserId = nobody,
        faults: Sequence[str] = (),
    ) -> None:
        self._database = database
        self._name = name
        self._places = places
        self._scrubber = scrubber
        self._version = version
        self._user_id = user_id
        self._faults = faults
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Quart) -> None:
        """Record every error of this application from now on.

        Reads `app.config` (see `ReportingSettings`) and DEBUG; the journal is in
        `app.instance_path`. Nothing connects, and no file, thread or task is made before the
        application serves or the first error. Raises ConfigurationError, and RuntimeError if the
        application has reporting already or has begun to serve.
        """
        check_installable(app, Reporting, "reporting")
        settings = ReportingSettings.from_config(app.config)
        pipeline = self._pipeline(app, settings)
        if self._scrubber is None:
            app.before_serving(partial(_learn_secrets, app, pipeline))
        app.before_serving(partial(self._keep_mails, app, settings, pipeline))
        app.before_serving(pipeline.start)  # raises after the first request
        app.after_serving(pipeline.stop)
        app.extensions["reporting"] = pipeline
        pipeline.mechanisms.install()
        if settings.sentry_dsn:
            sentry = Sentry(settings.sentry_dsn.get_secret_value())
            pipeline.recorder.listeners.append(sentry)
            app.after_serving(partial(asyncio.to_thread, sentry.close))

    def _engine(self, app: Quart, settings: ReportingSettings) -> DatabaseEngine:
        if self._is_own(settings):
            url = make_url(settings.errors_database_url or "sqlite:///errors.db")
            url = in_folder(url, Path(app.instance_path))
            # Counting and mailing take turns: on SQLite each connection costs a thread, and
            # operators read without one. On PostgreSQL they need the second.
            size = 1 if url.get_backend_name() == "sqlite" else 2
            return DatabaseEngine(url, pool_size=size, statement_timeout=_TIMEOUT)
        given = self._database
        if isinstance(given, AsyncEngine):
            return DatabaseEngine.from_engine(given)
        engine = app.extensions.get("database") if isinstance(given, Database) else given
        if engine is None:
            raise RuntimeError(
                f"Install the database in the application {app.name!r} before Reporting."
            )
        if not isinstance(engine, DatabaseEngine):
            raise TypeError(
                "expected as database a Database or a DatabaseEngine of quartapp.database, or an"
                f" AsyncEngine of SQLAlchemy, not {type(engine).__name__}"
            )
        return engine

    def _is_own(self, settings: ReportingSettings) -> bool:
        return self._database is None or bool(settings.errors_database_url)

    def _pipeline(self, app: Quart, settings: ReportingSettings) -> Pipeline:
        database = self._engine(app, settings)
        places = self._places or Places(Path(app.root_path), name=app.name)
        scrubber = self._scrubber or Scrubber(known=secrets_of(app.config, database))
        journal = Journal(Path(app.instance_path) / "journal", fsync=settings.errors_fsync)

        def source() -> Origin:  # at the first error, when debug mode is known
            return origin(
                _environment(app, settings),
                settings.release,
                root=_checkout(Path(app.root_path), places.above),
                version=self._version or _version(app),
            )

        recorder = Recorder(journal, places=places, origin=source, scrubber=scrubber)
        limits = Limits(every_occurrence=settings.errors_every_occurrence)
        pipeline = Pipeline(
            database=database,
            prepare=partial(prepare, database) if self._is_own(settings) else None,
            journal=journal,
            recorder=recorder,
            mechanisms=Mechanisms(app, recorder, self._user_id),
            consumer=Consumer(journal, database, Rules(host=host(), limits=limits, mails=False)),
            retention=Retention(database, Keep(groups=settings.errors_keep_days)),
            fsync=settings.errors_fsync,
            faults=self._faults,
        )
        # As in the tutorial: with MAIL_SERVER, and never under debug.
        if not app.debug and (server := settings.smtp_server()) is not None:
            self._mail_to(server, app, settings, pipeline)
        if not app.debug and settings.errors_webhook_url is not None:
            from quartapp.reporting.webhooks.outbox import WebhookOutbox, WebhookSender

            letterhead = _letterhead(app, settings, self._name or app.name)
            outbox = WebhookOutbox(letterhead, limits, is_slack=settings.webhook_is_slack)
            endpoint = settings.endpoint(scrubber.text)
            pipeline.webhook = WebhookSender(database, endpoint, outbox, journal)
            pipeline.consumer.rules = replace(pipeline.consumer.rules, webhooks=True)
        return pipeline

    def _mail_to(
        self,
        server: "Server | Mailbox",
        app: Quart,
        settings: ReportingSettings,
        pipeline: Pipeline,
    ) -> None:
        # Only here: without mails a start does not load what makes and sends them.
        from quartapp.mail.mailer import Mailer
        from quartapp.reporting.mails.fallback import FallbackMailer
        from quartapp.reporting.mails.outbox import AlertOutbox

        letterhead = _letterhead(app, settings, self._name or app.name)
        limits = pipeline.consumer.rules.limits
        pipeline.consumer.rules = replace(pipeline.consumer.rules, mails=True)
        pipeline.mailer = Mailer(pipeline.database, server, AlertOutbox(letterhead, limits))
        pipeline.fallback = FallbackMailer(pipeline.journal, server, letterhead)

    async def _keep_mails(
        self, app: Quart, settings: ReportingSettings, pipeline: Pipeline
    ) -> None:
        """Under the development server, keep mails in its mailbox, send no webhooks, and do not
        wait for more occurrences before the first mail."""
        mailbox: Mailbox | None = app.extensions.get(MAILBOX)
        if mailbox is not None:
            rules = pipeline.consumer.rules
            limits = replace(rules.limits, initial_delay=0.0)
            pipeline.consumer.rules = replace(rules, limits=limits, webhooks=False)
            pipeline.webhook = None
            self._mail_to(mailbox, app, settings, pipeline)
            pipeline.send_every = MAILBOX_EVERY
            pipeline.keeps_mails = True


def notifies_operator() -> bool:
    """Whether the operator gets a mail about the error of this request: for its page.

    From memory: it asks no database. False for an error that is not recorded yet.
    """
    pipeline: Pipeline | None = current_app.extensions.get("reporting")
    state = current_state.get()
    return bool(pipeline and state and state.group and pipeline.notifies_of(state.group))


def trouble() -> str:
    """Why errors are not recorded or not counted at present, for operators; "" if they are."""
    pipeline: Pipeline | None = current_app.extensions.get("reporting")
    return pipeline.trouble if pipeline else ""


def secrets_of(config: Mapping[str, Any], database: DatabaseEngine | None = None) -> list[str]:
    """The values that must be in no report and no log under any name: for the `Scrubber`.

    Those of `quartapp.redact.config`, and the password of the database.
    """
    password = database.url.password if database else None
    return [*config_secrets(config), *([str(password)] if password else [])]


async def _learn_secrets(app: Quart, pipeline: Pipeline) -> None:
    """Hide also what was configured after reporting was installed."""
    pipeline.recorder.scrubber.know(secrets_of(app.config, pipeline.database))


def _environment(app: Quart, settings: ReportingSettings) -> str:
    is_default = "environment" not in settings.model_fields_set
    return "development" if app.debug and is_default else settings.environment


def _checkout(folder: Path, above: Path) -> Path:
    """The folder that git may know: that of an application which is a module, else the one above
    its package."""
    return folder if (folder / ".git").exists() else above


def _version(app: Quart) -> str:
    """The `__version__` of the application's package; "" if it has none."""
    package = sys.modules.get(app.import_name.partition(".")[0])
    return str(getattr(package, "__version__", ""))


def _letterhead(app: Quart, settings: ReportingSettings, name: str) -> "Letterhead":
    from quartapp.reporting.mails.message import Letterhead

    return Letterhead(
        sender=settings.sender(),
        recipients=settings.admins,
        app=name,
        environment=_environment(app, settings),
        prefix=settings.mail_subject_prefix,
        domain=settings.mail_server or "localhost",
        inbox_url=settings.inbox_url,
    )
