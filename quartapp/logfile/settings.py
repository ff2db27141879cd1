"""The settings of the log."""

import logging
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from quartapp.settings import PartSettings

_SWITCHES = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(
    ("false", "0", "no", "off"), False
)


class LogSettings(PartSettings):
    """Where the log goes. A server writes to the file, or with `log_to_stdout` to its output."""

    log_dir: Path = Path("logs")
    """The folder of the file, made when it is needed."""
    log_max_bytes: int = Field(default=10 * 1024 * 1024, ge=0)
    """Bytes after which the file is rotated; 0 means never, as where logrotate does it."""
    log_backup_count: int = Field(default=10, ge=0)
    """Rotated files that are kept."""
    log_to_stdout: bool = False
    log_format: Literal["text", "json"] = "text"
    """"json": each line is one JSON object."""
    access_log: bool | Path = False
    """Whether each request has a line in LOG_DIR/access.log, or in this file; with `log_to_stdout`
    and True on standard output."""
    proxy_hops: int = Field(default=0, ge=0, le=10)
    """How many proxies are in front of the server, which name the client for the access log."""

    @field_validator("access_log", mode="before")
    @classmethod
    def _switch_or_file(cls, value: object) -> object:
        text = str(value).strip()
        if text.lower() in _SWITCHES:
            return _SWITCHES[text.lower()]
        if "/" not in text and not text.endswith(".log"):
            raise ValueError("expected true, false, or a file such as logs/access.log")
        return Path(text)

    def formatter(self, text: str) -> logging.Formatter:
        """That of the lines: for JSON, or of the format `text`."""
        if self.log_format == "json":
            from quartapp.logfile.structured import JsonFormatter  # only where it is used

            return JsonFormatter()
        return logging.Formatter(text)
