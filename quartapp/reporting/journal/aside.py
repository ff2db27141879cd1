"""Foreign files and lines in a journal, moved to its folder `aside` for people to inspect."""

import logging
import os
import time
from pathlib import Path

from quartapp.permissions import make_private_file, make_private_folder
from quartapp.reporting.journal.segments import listed, pack

_ASIDE = "aside"
_COMPLAINTS = 1000

_logger = logging.getLogger(__name__)
_complained: set[Path] = set()


def set_strangers_aside(folder: Path) -> None:
    """Move what has the name of a segment but cannot be one (a FIFO, a device, a folder, a link, a
    name that is not text), and log it once. Raises OSError if the folder cannot be read."""
    for name in listed(folder)[1]:
        try:
            aside = _make(folder)
            os.rename(folder / name, aside / f"{time.time_ns()}-{name}")
        except FileNotFoundError:
            pass  # another process was faster
        except OSError as error:
            _complain_once(folder / name, error)
        else:
            _logger.error("%a in the journal is no segment; it was moved to %s", name, aside)


def keep_aside(folder: Path, name: str, payloads: list[bytes]) -> None:
    """Write lines of a segment that are not entries to the file `name`, and log their number."""
    try:
        path = _make(folder) / name
        make_private_file(path)
        path.write_bytes(b"".join(map(pack, payloads)))
    except OSError as error:
        _complain_once(folder / _ASIDE / name, error)
    else:
        _logger.error(
            "%d lines of the journal are not entries; they are in %s", len(payloads), path
        )


def number_aside(folder: Path) -> int:
    """The number of files that are in `aside` now. Raises OSError."""
    try:
        return len(os.listdir(folder / _ASIDE))
    except FileNotFoundError:
        return 0


def _make(folder: Path) -> Path:
    aside = folder / _ASIDE
    make_private_folder(aside)
    return aside


def _complain_once(path: Path, error: OSError) -> None:
    if path not in _complained and len(_complained) < _COMPLAINTS:
        _complained.add(path)
        _logger.error("%a in the journal cannot be moved aside: %s", str(path), error.strerror)
