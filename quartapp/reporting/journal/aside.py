"""What in a journal is no part of it: moved into its folder `aside`, for people to look at."""

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
    """Move what is called like a segment and cannot be one, and log it once: a FIFO, a device, a
    folder, a link, a name that is no text. Raises OSError if the folder cannot be read."""
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
    """Keep whole lines of a segment that are no entries, in a file of that name, and log them."""
    try:
        path = _make(folder) / name
        make_private_file(path)
        path.write_bytes(b"".join(map(pack, payloads)))
    except OSError as error:
        _complain_once(folder / _ASIDE / name, error)
    else:
        _logger.error("%d lines of the journal mean nothing; they are in %s", len(payloads), path)


def number_aside(folder: Path) -> int:
    """How many things were moved aside and are there still. Raises OSError."""
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
