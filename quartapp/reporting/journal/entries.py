"""The entries of the journal, one on each line: a full report, a brief one, or a tick.

The first occurrences of an error in a minute are full reports. Each further one is a tick of at
most 90 bytes, so that a storm is counted exactly in little space. If too many different errors
occur to give each a full report, a brief one has the title and the place. The next text of both has
the reference that was shown, and what stands for the person whom the error met, if they are known;
the last one of a brief entry has the fingerprints by former rules, if there are any.
A release that does not know these yet counts such a line as `UNKNOWN`.

Another kind of line is no occurrence: what a person wrote about one.
"""

import json
import re
from dataclasses import dataclass

from quartapp.reporting.references import LENGTH, number_of
from quartapp.reporting.report import FINGERPRINT_LENGTH, Report

UNKNOWN = "0" * 32 + "-0"
"""The group of errors whose own group is unknown: the recorder failed, or the disk is full and too
many groups wait in memory."""

_TEXT_BYTES = 100
_LATEST = 100_000_000_000
_MOST = 1_000_000_000_000
_FEEDBACK_NAME = "feedback"  # no fingerprint is one
_FEEDBACK = b'["feedback",'
_LONGEST_FEEDBACK = 4000
_PERSON = re.compile("[0-9a-f]{16}")
_FORMER = re.compile(f"[!-~]{{1,{FINGERPRINT_LENGTH}}}")


@dataclass(frozen=True, slots=True)
class Tick:
    """`count` more occurrences of a known error. `time` is in whole seconds since the epoch.

    For `reference` and `person` see `Report`.
    """

    fingerprint: str
    time: int
    count: int = 1
    reference: str = ""
    person: str = ""

    def encode(self) -> bytes:
        # Formatted by hand, because a storm does this 20,000 times per second.
        met = _met(self.reference, self.person)
        more = f',"{met}"' if met else ""
        return f'["{self.fingerprint}",{self.time},{self.count}{more}]'.encode()


@dataclass(frozen=True, slots=True)
class Brief:
    """An error in at most 330 bytes, and 36 for each former fingerprint."""

    fingerprint: str
    time: int
    title: str
    culprit: str
    count: int = 1
    reference: str = ""
    person: str = ""
    former: tuple[str, ...] = ()

    def encode(self) -> bytes:
        title, culprit = _cut(self.title), _cut(self.culprit)
        values = [self.fingerprint, self.time, self.count, title, culprit]
        met = _met(self.reference, self.person)
        if met or self.former:
            values.append(met)
        if self.former:
            values.append(" ".join(self.former))
        return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()


Entry = Report | Brief | Tick


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a person wrote on the page of an error, under its reference."""

    reference: str
    time: int
    text: str

    def encode(self) -> bytes:
        values = [_FEEDBACK_NAME, self.time, self.reference, self.text]
        return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()


def _cut(text: str) -> str:
    # In JSON a backslash or a quote takes two bytes, a control character six.
    text = text.replace("\\", "/").replace('"', "'")
    short = text.encode("utf-8", "replace")[:_TEXT_BYTES].decode("utf-8", "ignore")
    return "".join(character if character.isprintable() else " " for character in short)


def _met(reference: str, person: str) -> str:
    """The reference and the person of an occurrence, in one text that is not escaped in JSON.

    Only the consumer makes sure that it is one of our references.
    """
    is_one = len(reference) == LENGTH and reference.isascii() and reference.isalnum()
    known = reference if is_one else ""
    return f"{known} {person}" if person else known


def is_feedback(payload: bytes) -> bool:
    """Whether a line is no occurrence, but what a person wrote."""
    return payload.startswith(_FEEDBACK)


def decode_feedback(payload: bytes) -> Feedback:
    """Decode such a line. Raises ValueError for what no database can store."""
    try:
        _, time, reference, text = json.loads(payload)
        if type(time) is not int or not 0 <= time < _LATEST or number_of(reference) is None:
            raise ValueError("a time or a reference is out of range")
        if len(text) > _LONGEST_FEEDBACK or "\0" in text:
            raise ValueError("a text is too long, or has a NUL")
        text.encode()  # raises for lone surrogates
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f"not an entry of the journal: {error}") from error
    return Feedback(reference, time, text)


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
            and (not entry.person or _PERSON.fullmatch(entry.person))
            and (isinstance(entry, Report) or 0 <= entry.count < _MOST)
            and (isinstance(entry, Tick) or all(map(_FORMER.fullmatch, entry.former)))
        ):
            raise ValueError("a group, a time, a count or a person is out of range")
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"not an entry of the journal: {error}") from error
    return entry


def _decode(payload: bytes) -> Entry:
    if payload.startswith(b"{"):
        return Report.from_json(payload)
    fingerprint, time, count, *what = json.loads(payload)
    if type(fingerprint) is not str or type(time) is not int or type(count) is not int:
        raise ValueError("a value has the wrong type")
    reference = person = ""
    former = what.pop() if len(what) == 4 else ""
    if len(what) % 2:
        reference, person = _decode_met(what.pop())
    if not what:
        return Tick(fingerprint, time, count, reference, person)
    title, culprit = what
    if type(title) is not str or type(culprit) is not str or type(former) is not str:
        raise ValueError("a value has the wrong type")
    title.encode(), culprit.encode()  # raises for lone surrogates
    return Brief(fingerprint, time, title, culprit, count, reference, person, tuple(former.split()))


def _decode_met(met: object) -> tuple[str, str]:
    if type(met) is not str:
        raise ValueError("a value has the wrong type")
    reference, _, person = met.partition(" ")
    return reference, person
