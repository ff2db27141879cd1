"""What is added up of a piece of the journal is bounded, whatever the piece has."""

from quartapp.reporting.counting.aggregate import MOST_PEOPLE, MOST_VALUES, aggregate
from quartapp.reporting.journal.entries import Tick
from quartapp.reporting.references import reference_of
from quartapp.reporting.report import Origin, Report, person_of


def test_people_and_places_are_bounded() -> None:
    entries: list[Report | Tick] = [
        Tick("a", 5, 1, reference_of(n), person_of(str(n))) for n in range(3000)
    ]
    entries += [Report(f"{n}", "a", n, "T", origin=Origin("", f"v{n}", "h")) for n in range(99)]
    [one], _ = aggregate((entry.encode() for entry in entries), 9.0)
    assert (one.count, len(one.references), len(one.people)) == (3099, 3000, MOST_PEOPLE)
    assert list(one.tags["release"]) == [f"v{n}" for n in range(99 - MOST_VALUES, 99)]
    assert one.tags["host"] == {"h": (0, 98)}


def test_references_can_be_left_out() -> None:
    [one], _ = aggregate([Tick("a", 5, 1, reference_of(1)).encode()], 9.0, references=False)
    assert (one.count, one.references) == (1, {})
