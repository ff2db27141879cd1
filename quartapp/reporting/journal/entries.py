"""The entries of the journal, one on each line: a full report, a brief one, or a tick.

The first occurrences of an error in a minute are full reports. Each further one is a tick of about
60 bytes, so that a storm is counted exactly in little space. If too many different errors occur to
give each a full report, a brief one has the title and the place.
"""

import json
from dataclasses import dataclass

from quartapp.reporting.report import Report
from quartapp.reporting.tables import FINGERPRINT_LENGTH

UNKNOWN = "0" * 32 + "-0"
"""The group of errors whose own group is unknown: the recorder failed, or the disk is full and too
many groups wait in memory."""

_TEXT_BYTES = 100
_LATEST = 100_000_000_000
_MOST = 1_000_000_000_000


@dataclass(frozen=True, slots=True)
class Tick:
    """`count` more occurrences of a known error. `time` is in whole seconds since the epoch."""

    fingerprint: str
    time: int
    count: int = 1

    def encode(self) -> bytes:
        # Formatted by hand, because a storm does this 20,000 times per second.
        return f'["{self.fingerprint}",{self.time},{self.count}]'.encode()


@dataclass(frozen=True, slots=True)
class Brief:
    """An error in at most 300 bytes."""

    fingerprint: str
    time: int
    title: str
    culprit: str
    count: int = 1

    def encode(self) -> bytes:
        title, culprit = _cut(self.title), _cut(self.culprit)
        values = [self.fingerprint, self.time, self.count, title, culprit]
        return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()


Entry = Report | Brief | Tick


def _cut(text: str) -> str:
    # In JSON a backslash or a quote takes two bytes, a control character six.
    text = text.replace("\\", "/").replace('"', "'")
    short = text.encode("utf-8", "replace")[:_TEXT_BYTES].decode("utf-8", "ignore")
    return "".join(character if character.isprintable() else " " for character in short)


def decode(payload: bytes) -> Entry:
    """Decode a line of the journal. Raises ValueError if it is not an entry, or has values that no
    database can store: the checksum only proves that the line is complete."""
    try:
        entry = _decode(payload)
        if not (
            0 < len(entry.fingerprint) <= FINGERPRINT_LENGTH
            and entry.fingerprint.isascii()
            and entry.fingerprint.isprintable()
            and 0 <= entry.time < _LATEST
            and (isinstance(entry, Report) or 0 <= entry.count < _MOST)
        ):
            raise ValueError("a group, a time or a count is out of range")
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"not an entry of the journal: {error}") from error
    return entry


def _decode(payload: bytes) -> Entry:
    if payload.startswith(b"{"):
        return Report.from_json(payload)
    fingerprint, time, count, *what = json.loads(payload)
    if type(fingerprint) is not str or type(time) is not int or type(count) is not int:
        raise ValueError("a value has the wrong type")
    if not what:
        return Tick(fingerprint, time, count)
    title, culprit = what
    if type(title) is not str or type(culprit) is not str:
        raise ValueError("a value has the wrong type")
    title.encode(), culprit.encode()  # raises for lone surrogates
    return Brief(fingerprint, time, title, culprit, count)
