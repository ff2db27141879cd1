"""What a line of the journal holds: a full report, a brief one, or a tick.

The first occurrences of an error in a minute are full reports. Each further one is a tick of some
60 bytes, so that a storm is counted exactly in little space. If too many different errors are live
to give each a full report, a brief one says what it was and where.
"""

import json
from dataclasses import dataclass

from quartapp.reporting.report import Report
from quartapp.reporting.tables import FINGERPRINT_LENGTH

UNKNOWN = "0" * 32 + "-0"
"""The group of errors whose own group is not known: too many groups are owed, because the disk is
full, or the recorder itself failed."""

_TEXT_BYTES = 100
_LATEST = 100_000_000_000
_MOST = 1_000_000_000_000


@dataclass(frozen=True, slots=True)
class Tick:
    """`count` more of a known error. `time` is in whole seconds since the epoch."""

    fingerprint: str
    time: int
    count: int = 1

    def encode(self) -> bytes:
        # Written by hand: a storm does this 20,000 times per second.
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
    # JSON writes a backslash or a quote in two bytes, a control character in six.
    text = text.replace("\\", "/").replace('"', "'")
    short = text.encode("utf-8", "replace")[:_TEXT_BYTES].decode("utf-8", "ignore")
    return "".join(character if character.isprintable() else " " for character in short)


def decode(payload: bytes) -> Entry:
    """Read back a line of the journal. Raises ValueError for anything else, and for what no
    database could store: a checksum proves that a line is whole, not that it makes sense."""
    try:
        entry = _decode(payload)
        if not (
            0 < len(entry.fingerprint) <= FINGERPRINT_LENGTH
            and entry.fingerprint.isascii()
            and entry.fingerprint.isprintable()
            and 0 <= entry.time < _LATEST
            and (isinstance(entry, Report) or 0 <= entry.count < _MOST)
        ):
            raise ValueError("a group, a time or a number that cannot be")
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"not an entry of the journal: {error}") from error
    return entry


def _decode(payload: bytes) -> Entry:
    if payload.startswith(b"{"):
        return Report.from_json(payload)
    fingerprint, time, count, *what = json.loads(payload)
    if type(fingerprint) is not str or type(time) is not int or type(count) is not int:
        raise ValueError("an entry of other types")
    if not what:
        return Tick(fingerprint, time, count)
    title, culprit = what
    if type(title) is not str or type(culprit) is not str:
        raise ValueError("an entry of other types")
    title.encode(), culprit.encode()  # raises for lone surrogates
    return Brief(fingerprint, time, title, culprit, count)
