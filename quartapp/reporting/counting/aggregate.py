"""The lines of a piece of the journal, added up by group; pure, and done in a thread."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from quartapp.reporting.counting.samples import LAST
from quartapp.reporting.journal.entries import UNKNOWN, Brief, Entry, Tick, decode, is_feedback
from quartapp.reporting.references import number_of
from quartapp.reporting.report import Report

UNNAMED = "An error without details"

MOST_PEOPLE = 1000
"""The people of a group are counted exactly up to this number, and not beyond."""

MOST_VALUES = 50
"""The releases, hosts and environments of a group that are kept: so many of each, the last ones."""

_VALUE_LENGTH = 200


@dataclass(slots=True)
class Aggregate:
    """The occurrences of one group. `samples` are the first and the last ten full reports.

    `references` are their numbers, with the time of each. `people` has at most MOST_PEOPLE. `tags`
    has by name and value when it was seen first and last, the last one at its end. `former` are its
    fingerprints by former rules.
    """

    fingerprint: str
    title: str = UNNAMED
    culprit: str = ""
    level: str = "ERROR"
    count: int = 0
    first: float = float("inf")
    last: float = 0.0
    minutes: Counter[int] = field(default_factory=Counter)
    samples: list[Report] = field(default_factory=list)
    message: str = ""
    route: str = ""
    references: dict[int, int] = field(default_factory=dict)
    people: set[int] = field(default_factory=set)
    tags: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)
    former: tuple[str, ...] = ()

    def add(self, entry: Entry) -> None:
        count = 1 if isinstance(entry, Report) else entry.count
        self.count += count
        self.first, self.last = min(self.first, entry.time), max(self.last, entry.time)
        self.minutes[int(entry.time // 60)] += count
        if entry.person and len(self.people) < MOST_PEOPLE:
            self.people.add(_signed(entry.person))
        if not isinstance(entry, Tick):
            self.former = entry.former or self.former
        if isinstance(entry, Report):
            self.title, self.culprit, self.level = entry.title, entry.culprit, entry.level
            self.samples.append(entry)
            if len(self.samples) > LAST + 1:
                del self.samples[1]
            first = next(iter(entry.exceptions), None)
            self.message = (first.message if first else "") or entry.message
            self.route = entry.request.route if entry.request else ""
            for name in ("release", "host", "environment"):
                self._tag(name, getattr(entry.origin, name), entry.time)
        elif isinstance(entry, Brief) and self.title == UNNAMED:
            self.title, self.culprit = entry.title, entry.culprit

    def _tag(self, name: str, value: str, time: float) -> None:
        if not value:
            return
        values = self.tags.setdefault(name, {})
        first, last = values.pop(value[:_VALUE_LENGTH], (time, time))
        values[value[:_VALUE_LENGTH]] = min(first, time), max(last, time)
        if len(values) > MOST_VALUES:
            del values[next(iter(values))]


def aggregate(
    payloads: Iterable[bytes], now: float, *, references: bool = True
) -> tuple[list[Aggregate], list[bytes]]:
    """The sums of all lines, ordered by fingerprint, and the lines that are no entries.

    What people wrote is left out (see `counting.feedback`).

    A reference leads to the first error of its request. Without `references`, which take most of
    the memory, they are left out.

    Each of those (of another version, for instance) is one occurrence of `UNKNOWN` at `now`, so
    that everything recorded is counted.
    """
    groups: dict[str, Aggregate] = {}
    senseless: list[bytes] = []
    known: set[int] = set()
    for payload in payloads:
        if is_feedback(payload):
            continue
        try:
            entry = decode(payload)
        except ValueError:
            senseless.append(payload)
            entry = Brief(UNKNOWN, int(now), "Lines of the journal that cannot be read", "journal")
        group = groups.get(entry.fingerprint)
        if group is None:
            group = groups[entry.fingerprint] = Aggregate(entry.fingerprint)
        group.add(entry)
        if references and entry.reference:
            number = number_of(entry.reference)
            if number is not None and number not in known:
                known.add(number)
                group.references[number] = int(entry.time)
    # Always in the same order, so that two consumers cannot deadlock in the database.
    return [groups[fingerprint] for fingerprint in sorted(groups)], senseless


def _signed(person: str) -> int:
    """The 64 bits of a person (see `report.person_of`) as databases store them."""
    return int.from_bytes(bytes.fromhex(person), signed=True)
