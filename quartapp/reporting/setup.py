"""Builds reporting from the settings of an application, and installs it."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import SecretStr
from quart import Quart, current_app

from quartapp.database import Database
from quartapp.mail.delivery import Server
from quartapp.redact.places import Places
from quartapp.redact.scrub import Scrubber
from quartapp.reporting.alerts.evaluation import Rules
from quartapp.reporting.alerts.policy import Limits
from quartapp.reporting.capture.origin import host, origin
from quartapp.reporting.counting.consumer import Consumer
from quartapp.reporting.hooks.mechanisms import Mechanisms
from quartapp.reporting.hooks.request_context import UserId
from quartapp.reporting.hooks.request_state import current_state
from quartapp.reporting.journal.writer import Journal
from quartapp.reporting.pipeline import Pipeline
from quartapp.reporting.recorder import Recorder
from quartapp.reporting.settings import ReportingSettings
from quartapp.reporting.sinks.sentry import Sentry

if TYPE_CHECKING:
    from quartapp.reporting.mails.message import Letterhead


def init_app(
    app: Quart,
    database: Database,
    *,
    name: str,
    places: Places,
    scrubber: Scrubber,
    version: str = "",
    user_id: UserId = lambda: "",
    faults: Sequence[str] = (),
) -> None:
    """Record every error of an application from now on, and count and mail them while it serves.

    Reads `app.config` (see `ReportingSettings`) and DEBUG; the journal is in `app.instance_path`.
    `name` is that of the application in the subjects of mails, `version` its release if neither
    RELEASE nor git has one, `user_id` returns who makes the current request, from memory. `faults`
    are sentences on settings that are dangerous together: they are logged when the application
    begins to serve, and `errors doctor` shows them.

    Call it after all other middleware has wrapped `app.asgi_app`, and before `database.dispose` is
    registered to run after serving. Raises ConfigurationError.
    """
    settings = ReportingSettings.from_config(app.config)
    journal = Journal(Path(app.instance_path) / "journal", fsync=settings.errors_fsync)
    source = partial(
        origin, settings.environment, settings.release, root=places.above, version=version
    )
    recorder = Recorder(journal, places=places, origin=source, scrubber=scrubber)
    limits = Limits(every_occurrence=settings.errors_every_occurrence)
    # As in the tutorial: with MAIL_SERVER, and never under debug.
    mails = bool(settings.mail_server) and not app.debug
    mailer = fallback = None
    if mails and (server := settings.smtp_server()) is not None:
        # Only here: without mails a start does not load what makes and sends them.
        from quartapp.mail.mailer import Mailer
        from quartapp.reporting.mails.fallback import FallbackMailer
        from quartapp.reporting.mails.outbox import AlertOutbox

        letterhead = _letterhead(settings, name, server)
        mailer = Mailer(database, server, AlertOutbox(letterhead, limits))
        fallback = FallbackMailer(journal, server, letterhead)
    pipeline = Pipeline(
        database=database,
        journal=journal,
        recorder=recorder,
        mechanisms=Mechanisms(app, recorder, user_id),
        consumer=Consumer(journal, database, Rules(host=host(), limits=limits, mails=mails)),
        mailer=mailer,
        fallback=fallback,
        fsync=settings.errors_fsync,
        faults=faults,
    )
    app.extensions["reporting"] = pipeline
    pipeline.mechanisms.install()
    app.before_serving(pipeline.start)
    app.after_serving(pipeline.stop)
    if settings.sentry_dsn:
        sentry = Sentry(settings.sentry_dsn.get_secret_value())
        recorder.listeners.append(sentry)
        app.after_serving(partial(asyncio.to_thread, sentry.close))


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


def secrets_of(config: Mapping[str, Any], database: Database) -> list[str]:
    """The values that must be in no report and no log under any name: for the `Scrubber`."""
    names = ("SECRET_KEY", "MAIL_PASSWORD", "SENTRY_DSN")
    held = (*map(config.get, names), database.url.password)
    values = (each.get_secret_value() if isinstance(each, SecretStr) else each for each in held)
    passwords = map(_password, config.values())  # as in REDIS_URL
    return [str(value) for value in (*values, *passwords) if value]


def _password(value: object) -> str | None:
    """The password in an address."""
    try:
        return urlsplit(value).password if isinstance(value, str) and "://" in value else None
    except ValueError:
        return None


def _letterhead(settings: ReportingSettings, name: str, server: Server) -> "Letterhead":
    from quartapp.reporting.mails.message import Letterhead

    return Letterhead(
        sender=settings.sender(),
        recipients=settings.admins,
        app=name,
        environment=settings.environment,
        prefix=settings.mail_subject_prefix,
        domain=server.host,
        inbox_url=settings.inbox_url,
    )
