"""The settings of the log."""

from pathlib import Path

from pydantic import Field

from quartapp.settings import PartSettings


class LogSettings(PartSettings):
    """Where the log goes. A server writes to the file, or with `log_to_stdout` to its output."""

    log_dir: Path = Path("logs")
    """The folder of the file, made when it is needed."""
    log_max_bytes: int = Field(default=10240, ge=0)
    """Bytes after which the file is rotated; 0 means never."""
    log_backup_count: int = Field(default=10, ge=0)
    """Rotated files that are kept."""
    log_to_stdout: bool = False
