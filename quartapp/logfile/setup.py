"""The log of an application: to the terminal, and to the file while it serves."""

import logging
import sys
from pathlib import Path

from quart import Quart

from quartapp.logfile import handler, others
from quartapp.logfile.handler import Clean, Target, ThreadedHandler
from quartapp.logfile.rotation import RotatingFile
from quartapp.logfile.settings import LogSettings


def init_app(app: Quart, *, name: str, clean: Clean) -> None:
    """Log as the tutorial does, from now on; to `LOG_DIR/<name>.log` while the application serves.

    Reads `app.config` (see `LogSettings`), DEBUG and TESTING. `clean` makes the copy of a record
    that is written: see `quartapp.logfile.record`. Raises ConfigurationError.
    """
    log = Log(app, LogSettings.from_config(app.config), name, clean)
    log.begin()
    app.before_serving(log.serve)
    app.after_serving(log.end)


class Log:
    """Where the application's log goes: to the terminal, and while serving to the file."""

    def __init__(self, app: Quart, settings: LogSettings, name: str, clean: Clean) -> None:
        self._logger = logging.getLogger(app.name)
        self._settings = settings
        self._name = name
        self._is_quiet = app.testing
        self._is_debug = app.debug
        self._clean = clean
        self._stream_formatter = logging.Formatter(handler.STREAM_FORMAT)
        self._file_formatter = logging.Formatter(handler.FILE_FORMAT)
        self._file = RotatingFile(
            log_path(settings.log_dir, name),
            max_bytes=settings.log_max_bytes,
            backups=settings.log_backup_count,
        )

    def begin(self) -> None:
        """Log to standard error, as commands do: their standard output is for their results."""
        if self._is_quiet:  # tests look at records, not at lines
            handler.attach(self._logger, None, alone=False)
            if not any(isinstance(h, logging.NullHandler) for h in self._logger.handlers):
                self._logger.addHandler(logging.NullHandler())
            return
        if not self._is_debug:
            others.clean_uncaught(self._clean)
        self._logger.setLevel(logging.DEBUG if self._is_debug else logging.INFO)
        self._attach(handler.to_stream(sys.stderr, self._stream_formatter))

    async def serve(self) -> None:
        """Log as a server does, and log once that it has started."""
        if self._is_quiet:
            return
        others.clean_servers(self._clean)
        if self._settings.log_to_stdout:
            self._attach(handler.to_stream(sys.stdout, self._file_formatter))
        elif not self._is_debug:
            file = handler.to_file(self._file, self._file_formatter)
            self._attach(handler.to_stream(sys.stderr, self._stream_formatter), file)
        if handler.is_first_worker(self._file):
            self._logger.info("%s startup", self._name.capitalize())

    async def end(self) -> None:
        """Leave the server's own log as it was."""
        others.leave_servers()

    def _attach(self, *targets: Target) -> None:
        new = ThreadedHandler(*targets, clean=self._clean)
        handler.attach(self._logger, new, alone=True)
        others.take_over(new)


def log_path(folder: Path, name: str) -> Path:
    """The log file of an application of this name."""
    return folder / f"{name}.log"
