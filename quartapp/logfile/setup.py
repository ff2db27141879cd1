"""The log of an application: to the terminal, and to the file while it serves."""

import asyncio
import logging
import sys
from pathlib import Path
from typing import Any

from quart import Quart

from quartapp.installation import check_installable
from quartapp.logfile import handler, others
from quartapp.logfile.handler import Clean, Target, ThreadedHandler
from quartapp.logfile.record import Cleaner
from quartapp.logfile.rotation import RotatingFile
from quartapp.logfile.settings import LogSettings
from quartapp.redact.config import config_secrets
from quartapp.redact.places import Places
from quartapp.redact.scrub import Scrubber


class LogFile:
    """The log of an application, on the terminal and in a file that rotates.

        app = Quart(__name__)
        LogFile(app)

    Or `log_file = LogFile()`, then `log_file.init_app(app)` in a factory; one object serves any
    number of applications. While an application serves, its lines go to `LOG_DIR/NAME.log`, where
    `name` is `app.name` unless it is given; under DEBUG, and in commands, only to the terminal.
    Libraries without handlers log there too. With TESTING nothing is written. With LOG_FORMAT=json
    each line is a JSON object, and with ACCESS_LOG each request has a line. At SIGUSR1 a process
    that serves opens its log files again.

    `clean` makes the copy of a record that is written. The default hides what
    `quartapp.logfile.record.Cleaner` recognises, and the secrets of `app.config`.
    """

    def __init__(
        self, app: Quart | None = None, *, name: str = "", clean: Clean | None = None
    ) -> None:
        self._name = name
        self._clean = clean
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Quart) -> None:
        """Log to the terminal from now on, and to the file while the application serves.

        Reads `app.config` (see `LogSettings`), DEBUG and TESTING. Makes no file and no thread.
        Raises ConfigurationError, and RuntimeError if the application has a LogFile already or has
        begun to serve.
        """
        check_installable(app, LogFile, "logfile")
        settings = LogSettings.from_config(app.config)
        log = Log(app, settings, self._name or app.name, self._clean or _cleaner(app))
        if log.access is not None:
            log.access.install()
        app.before_serving(log.serve)  # raises after the first request
        app.after_serving(log.end)
        app.extensions["logfile"] = log
        # What quartapp.serving calls at SIGUSR1 (`serving.signals`), which is above this part.
        app.extensions.setdefault("quartapp.serving.signals", []).append(handler.reopen_files)
        log.begin()


def _cleaner(app: Quart) -> Cleaner:
    places = Places(Path(app.root_path), name=app.name)
    return Cleaner(places=places, scrubber=Scrubber(known=config_secrets(app.config)))


class Log:
    """Where the application's log goes: to the terminal, and while serving to the file."""

    def __init__(self, app: Quart, settings: LogSettings, name: str, clean: Clean) -> None:
        self._app = app
        self._logger = logging.getLogger(app.name)
        self._settings = settings
        self._name = name
        self._clean = clean
        self._stream_formatter = settings.formatter(handler.STREAM_FORMAT)
        self._file_formatter = settings.formatter(handler.FILE_FORMAT)
        self._file = self._rotating(log_path(settings.log_dir, name))
        self.access = self._access_log() if settings.access_log else None
        self.access_handler: ThreadedHandler | None = None

    def begin(self) -> None:
        """Log to standard error, as commands do: their standard output is for their results."""
        if self._app.testing:  # tests look at records, not at lines
            handler.attach(self._logger, None, alone=False)
            if not any(isinstance(h, logging.NullHandler) for h in self._logger.handlers):
                self._logger.addHandler(logging.NullHandler())
            return
        if not self._app.debug:
            as_json = self._settings.log_format == "json"
            others.clean_uncaught(self._clean, self._stream_formatter if as_json else None)
        self._logger.setLevel(logging.DEBUG if self._app.debug else logging.INFO)
        self._attach(handler.to_stream(sys.stderr, self._stream_formatter))

    async def serve(self) -> None:
        """Log as a server does, and log once that it has started."""
        if self._app.testing:
            return
        handler.reopen_at_signal()
        if self._settings.log_to_stdout:
            self._attach(handler.to_stream(sys.stdout, self._file_formatter))
        elif not self._app.debug:
            file = handler.to_file(self._file, self._file_formatter)
            self._attach(handler.to_stream(sys.stderr, self._stream_formatter), file)
        if self._settings.log_format == "json":
            others.take_over_servers(self._handler)
        else:
            others.clean_servers(self._clean)
        if self.access is not None:
            self._begin_access_log(self.access)
        if handler.is_first_worker(self._file):
            self._logger.info("%s startup", self._name.capitalize())

    async def end(self) -> None:
        """Leave the server's own log as it was, and close the access log."""
        others.leave_servers()
        if self.access_handler is not None:
            await asyncio.to_thread(self.access_handler.close)

    def _attach(self, *targets: Target) -> None:
        new = self._handler = ThreadedHandler(*targets, clean=self._clean)
        others.take_over(new)  # before the old one is closed, which a later line would start again
        handler.attach(self._logger, new, alone=True)

    def _rotating(self, path: Path) -> RotatingFile:
        settings = self._settings
        return RotatingFile(
            path, max_bytes=settings.log_max_bytes, backups=settings.log_backup_count
        )

    def _access_log(self) -> Any:
        from quartapp.logfile.access import AccessLog  # only where it is used

        scrubber = self._clean.scrubber if isinstance(self._clean, Cleaner) else None
        return AccessLog(
            self._app,
            as_json=self._settings.log_format == "json",
            hops=self._settings.proxy_hops,
            scrubber=scrubber or Scrubber(known=config_secrets(self._app.config)),
        )

    def _begin_access_log(self, access: Any) -> None:
        settings = self._settings
        note = settings.formatter("# %(message)s")  # about lines that were left out
        if isinstance(settings.access_log, Path):
            target = handler.to_file(self._rotating(settings.access_log), note)
        elif settings.log_to_stdout:
            target = handler.to_stream(sys.stdout, note)
        elif self._app.debug:
            target = handler.to_stream(sys.stderr, note)
        else:
            target = handler.to_file(self._rotating(log_path(settings.log_dir, "access")), note)
        self.access_handler = ThreadedHandler(target)
        access.begin(self.access_handler.write)


def log_path(folder: Path, name: str) -> Path:
    """The log file of an application of this name."""
    return folder / f"{name}.log"
