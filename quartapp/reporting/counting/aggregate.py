"""The lines of a piece of the journal, added up by group; pure, and done in a thread."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from quartapp.reporting.journal.entries import UNKNOWN, Brief, Entry, decode
from quartapp.reporting.report import Report

LAST_SAMPLES = 10
"""How many samples of a group are kept besides the first."""

UNNAMED = "An error without details"


@dataclass(slots=True)
class Aggregate:
    """The occurrences of one group. `samples` are the first and the last ten full reports."""

    fingerprint: str
    title: str = UNNAMED
    culprit: str = ""
    level: str = "ERROR"
    count: int = 0
    first: float = float("inf")
    last: float = 0.0
    minutes: Counter[int] = field(default_factory=Counter)
    samples: list[Report] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        count = 1 if isinstance(entry, Report) else entry.count
        self.count += count
        self.first, self.last = min(self.first, entry.time), max(self.last, entry.time)
        self.minutes[int(entry.time // 60)] += count
        if isinstance(entry, Report):
            self.title, self.culprit, self.level = entry.title, entry.culprit, entry.level
            self.samples.append(entry)
            if len(self.samples) > LAST_SAMPLES + 1:
                del self.samples[1]
        elif isinstance(entry, Brief) and self.title == UNNAMED:
            self.title, self.culprit = entry.title, entry.culprit


def aggregate(payloads: Iterable[bytes], now: float) -> tuple[list[Aggregate], list[bytes]]:
    """The sums of all lines, ordered by fingerprint, and the lines that are no entries.

    Each of those (of another version, for instance) is one occurrence of `UNKNOWN` at `now`, so
    that everything recorded is counted.
    """
    groups: dict[str, Aggregate] = {}
    senseless: list[bytes] = []
    for payload in payloads:
        try:
            entry = decode(payload)
        except ValueError:
            senseless.append(payload)
            entry = Brief(UNKNOWN, int(now), "Lines of the journal that cannot be read", "journal")
        group = groups.get(entry.fingerprint)
        if group is None:
            group = groups[entry.fingerprint] = Aggregate(entry.fingerprint)
        group.add(entry)
    # Always in the same order, so that two consumers cannot deadlock in the database.
    return [groups[fingerprint] for fingerprint in sorted(groups)], senseless
