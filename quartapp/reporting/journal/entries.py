"""What a line of the journal holds: a full report, a brief one, or a tick.

The first occurrences of an error in a minute are full reports. Each further one is a tick of some
60 bytes, so that a storm is counted exactly in little space. If too many different errors are live
to give each a full report, a brief one says what it was and where.
"""

import json
from dataclasses import dataclass

from quartapp.reporting.report import Report

UNKNOWN = "0" * 32 + "-0"
"""The group of errors whose own group is not known: too many groups are owed, because the disk is
full, or the recorder itself failed."""

_TEXT_BYTES = 100


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
    """Read back a line of the journal. Raises ValueError for anything else."""
    if payload.startswith(b"{"):
        return Report.from_json(payload)
    try:
        fingerprint, time, count, *what = json.loads(payload)
        if type(fingerprint) is not str or type(time) is not int or type(count) is not int:
            raise ValueError("its values are of other types")
        if not what:
            return Tick(fingerprint, time, count)
        title, culprit = what
        return Brief(fingerprint, time, str(title), str(culprit), count)
    except (TypeError, ValueError) as error:
        raise ValueError(f"not an entry of the journal: {error}") from error
